import pytest

from app.config.identity_matchers import parse_identity_matchers
from app.config.model import IdentityMatchers
from app.config.query_flags import QueryFlags, query_settings
from app.errors import ConfigError

EU = "spiffe://eu.example/ns/monitoring/sa/querier"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f'{EU}={{realm="eu"}}', IdentityMatchers(EU, (("=", "realm", "eu"),))),
        (
            'Grafana.Example={realm=~\'e.*\' , zone!="a,}\\"",}',
            IdentityMatchers("grafana.example", (("=~", "realm", "e.*"), ("!=", "zone", 'a,}"'))),
        ),
        (
            f'{EU}={{"a.b"!~`x\\d`, a=""}}',
            IdentityMatchers(EU, (("!~", "a.b", "x\\d"), ("=", "a", ""))),
        ),
    ],
)
def test_identity_and_matchers(text: str, found: IdentityMatchers) -> None:
    assert parse_identity_matchers(text) == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not an identity with matchers"),
        (EU, "not an identity with matchers"),
        (f'{EU}={{realm="eu"', "not an identity with matchers"),
        ('{realm="eu"}', "not an identity with matchers"),
        ('a b={realm="eu"}', "neither a SPIFFE URI nor a DNS name"),
        ('https://a/b={realm="eu"}', "neither a SPIFFE URI nor a DNS name"),
        (f"{EU}={{}}", "no matchers"),
        (f"{EU}={{ }}", "no matchers"),
        (f"{EU}={{realm=eu}}", "does not begin with a matcher"),
        (f'{EU}={{realm="eu" zone="a"}}', "does not begin with a matcher"),
        (f'{EU}={{,realm="eu"}}', "does not begin with a matcher"),
        (f'{EU}={{realm="eu"}}x="y"}}', "does not begin with a matcher"),
        (f'{EU}={{realm=~"("}}', "not a regular expression"),
        (f'{EU}={{realm="\\q"}}', "no escape"),
        (f'{EU}={{""="eu"}}', "without name"),
    ],
)
def test_faults_are_named(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_identity_matchers(text)


def problems(**flags: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        query_settings(QueryFlags(**flags))  # type: ignore[arg-type]
    return [str(problem) for problem in caught.value.problems]


def test_all_faults_at_once() -> None:
    found = problems(
        grpc_server_tls_cert="c",
        grpc_server_tls_key="k",
        grpc_server_tls_client_ca="ca",
        grpc_server_allowed_identity=(EU, "Grafana.example"),
        grpc_server_identity_matchers=(
            f'{EU}={{realm="eu"}}',
            f'{EU}={{realm="us"}}',
            'grafana.example={a="b"}',
            'stranger.example={a="b"}',
            "broken",
        ),
    )
    assert len(found) == 3
    assert f"{EU} is given twice" in found[0]
    assert "stranger.example is let in by no --grpc-server-allowed-identity" in found[1]
    assert "broken" in found[2]


def test_they_need_client_certificates() -> None:
    (found,) = problems(grpc_server_identity_matchers=(f'{EU}={{realm="eu"}}',))
    assert "--grpc-server-tls-client-ca" in found


def test_without_a_list_of_identities_any_may_have_matchers() -> None:
    flags = QueryFlags(
        grpc_server_tls_cert="c",
        grpc_server_tls_key="k",
        grpc_server_tls_client_ca="ca",
        grpc_server_identity_matchers=(f'{EU}={{realm="eu"}}',),
    )
    (found,) = query_settings(flags).identity_matchers
    assert found.identity == EU
