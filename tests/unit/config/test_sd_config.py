"""The endpoints file of `thanos query`: what it means, setting by setting, and every fault of it."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from app.config.model import EndpointGroup, EndpointsConfig, TlsConfig
from app.config.sd_config import parse_sd_config
from app.config.service_config import not_followed
from app.errors import ConfigError

NO_FLAGS = EndpointGroup(name="flags")
DEFAULT = """
default_client_config:
  tls_config:
    cert_file: c
    key_file: k
    ca_file: a
  server_name: s
"""


def load(content: str, flags: EndpointGroup = NO_FLAGS) -> EndpointsConfig:
    return parse_sd_config(content.encode(), "sd.yaml", flags)


def by_address(content: str, flags: EndpointGroup = NO_FLAGS) -> dict[str, TlsConfig | None]:
    return {address: group.tls for group in load(content, flags).groups for address in group.endpoints}


def faults(content: str, flags: EndpointGroup = NO_FLAGS) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(content, flags)
    return [str(problem) for problem in caught.value.problems]


def inherited(client_config: str) -> TlsConfig | None:
    """What one endpoint with `client_config` comes to, beside `DEFAULT`."""
    found = by_address(f"{DEFAULT}endpoints: [{{address: 'h:1', client_config: {client_config}}}]")
    return found["h:1"]


def test_endpoints_with_the_same_settings_make_up_a_group() -> None:
    config = load(
        DEFAULT
        + """
endpoints:
  - address: a:1
  - address: b:1
    strict: true
    client_config: {tls_config: {ca_file: other}}
  - address: c:1
    group: true
  - address: d:1
    client_config: {tls_config: {enabled: false}}
  - {address: "e:1", group: true, strict: true, client_config: {tls_config: {ca_file: other}}}
"""
    )
    default = TlsConfig(cert_file="c", key_file="k", ca_file="a", server_name="s")
    other = TlsConfig(cert_file="c", key_file="k", ca_file="other", server_name="s")
    assert [(group.name.partition("-")[0], group.tls, group.endpoints) for group in config.groups] == [
        ("default", default, ("a:1", "c:1")),
        ("tls", other, ("b:1", "e:1")),
        ("plaintext", None, ("d:1",)),
    ]
    assert [group.strict_endpoints for group in config.groups] == [set(), {"b:1", "e:1"}, set()]
    assert [group.balanced for group in config.groups] == [{"c:1"}, {"e:1"}, set()]
    assert config.warnings == ()


def test_names_stay_when_other_endpoints_come_and_go() -> None:
    one = "{address: 'b:1', client_config: {tls_config: {ca_file: other}}}"
    before = load(f"endpoints: [{one}]").groups[0]
    after = load(f"endpoints: [{{address: 'a:1'}}, {one.replace('b:1', 'c:1')}, {one}]").groups[1]
    assert after.name == before.name
    assert after.endpoints == ("c:1", "b:1")


def test_compression_is_inherited_and_makes_groups_too() -> None:
    config = load(
        """
default_client_config: {compression: snappy}
endpoints:
  - address: a:1
  - {address: "b:1", client_config: {compression: none}}
  - {address: "c:1", client_config: {compression: ""}}
"""
    )
    assert [(group.name, group.compression, group.endpoints) for group in config.groups] == [
        ("default", "snappy", ("a:1",)),
        ("plaintext-none", "none", ("b:1", "c:1")),
    ]
    assert load("endpoints: [{address: 'a:1'}]").groups[0].compression is None


def test_without_anything_endpoints_are_plaintext() -> None:
    assert by_address("endpoints: [{address: 'a:1'}]") == {"a:1": None}
    assert load("endpoints: []").groups == ()
    assert load("endpoints:").groups == ()


@pytest.mark.parametrize(
    ("client_config", "changes"),
    [
        ("{}", {}),
        ("{tls_config: {}}", {}),
        ("{tls_config: {enabled: true}}", {}),
        ("{tls_config: {ca_file: x}}", {"ca_file": "x"}),
        ("{tls_config: {ca_file: ''}}", {"ca_file": ""}),
        ("{tls_config: {cert_file: '', key_file: ''}}", {"cert_file": "", "key_file": ""}),
        ("{tls_config: {min_version: '1.2'}}", {"min_version": "1.2"}),
        ("{server_name: t}", {"server_name": "t"}),
        ("{server_name: ''}", {"server_name": ""}),
        ("{tls_config: {peer_identities: [a.example]}}", {"peer_identities": ("a.example",)}),
        ("{tls_config: {crl_file: r}}", {"crl_file": "r"}),
        # What is only inherited is not asked for by who skips the verification.
        ("{tls_config: {insecure_skip_verify: true}}", {"insecure_skip_verify": True, "ca_file": ""}),
    ],
)
def test_each_setting_is_inherited_by_itself(client_config: str, changes: dict[str, Any]) -> None:
    plain = {"cert_file": "c", "key_file": "k", "ca_file": "a", "server_name": "s"}
    assert inherited(client_config) == TlsConfig(**{**plain, **changes})


def test_every_setting_can_be_unset() -> None:
    default = """
default_client_config:
  tls_config: {ca_file: a, crl_file: r, peer_identities: [p.example], min_version: "1.2"}
  server_name: s
endpoints:
  - address: a:1
    client_config:
      tls_config: {ca_file: "", crl_file: "", peer_identities: [], min_version: ""}
      server_name: ""
"""
    assert by_address(default) == {"a:1": TlsConfig()}


@pytest.mark.parametrize(
    ("own", "tls"),
    [
        ("{tls_config: {ca_file: x}}", TlsConfig(ca_file="x")),
        ("{tls_config: {ca_file: ''}}", TlsConfig()),
        ("{tls_config: {insecure_skip_verify: false}}", TlsConfig()),
        ("{tls_config: {enabled: true}}", TlsConfig()),
        ("{tls_config: {enabled: false, ca_file: x}}", None),
    ],
)
@pytest.mark.parametrize("default", ["", "default_client_config: {tls_config: {enabled: false}}\n"])
def test_naming_material_switches_tls_on(default: str, own: str, tls: TlsConfig | None) -> None:
    assert by_address(f"{default}endpoints: [{{address: 'a:1', client_config: {own}}}]") == {"a:1": tls}


@pytest.mark.parametrize("own", ["{tls_config: }", "{tls_config: {}}", "{tls_config: {min_version: '1.2'}}"])
def test_a_tls_config_that_switches_nothing_on_never_means_plaintext(own: str) -> None:
    (fault,) = faults(f"endpoints: [{{address: 'a:1', client_config: {own}}}]")
    assert fault.startswith("sd.yaml:1: endpoint 1 (a:1): client_config.tls_config.enabled: TLS is not")
    (fault,) = faults(f"default_client_config: {own}\nendpoints: []")
    assert fault.startswith("sd.yaml:1: default_client_config.tls_config.enabled: TLS is not switched on")


def test_endpoints_of_flags_get_the_default_settings() -> None:
    flags = EndpointGroup(
        name="flags",
        tls=TlsConfig(ca_file="flag"),
        endpoints=("f:1", "g:1"),
        strict_endpoints=frozenset({"g:1"}),
        sd_files=("x.yaml",),
    )
    (group,) = load(f"{DEFAULT}endpoints: [{{address: 'a:1'}}]", flags).groups
    assert group.endpoints == ("a:1", "f:1", "g:1")
    assert group.strict_endpoints == {"g:1"}
    assert group.sd_files == ("x.yaml",)
    assert group.tls == TlsConfig(cert_file="c", key_file="k", ca_file="a", server_name="s")


def test_tls_of_flags_is_the_default_where_the_file_has_none() -> None:
    flags = EndpointGroup(name="flags", tls=TlsConfig(ca_file="flag", server_name="s"))
    found = by_address(
        "endpoints: [{address: 'a:1'}, {address: 'b:1', client_config: {tls_config: {ca_file: x}}}]", flags
    )
    assert found == {
        "a:1": TlsConfig(ca_file="flag", server_name="s"),
        "b:1": TlsConfig(ca_file="x", server_name="s"),
    }
    assert by_address(DEFAULT + "endpoints: [{address: 'a:1'}]", flags)["a:1"] == TlsConfig(
        cert_file="c", key_file="k", ca_file="a", server_name="s"
    )


def test_an_address_of_a_flag_that_the_file_has_too() -> None:
    (fault,) = faults("endpoints: [{address: 'a:1'}]", EndpointGroup(name="flags", endpoints=("A:1",)))
    assert fault == "--endpoint A:1: it is endpoint 1 of sd.yaml already"


@pytest.mark.parametrize(
    ("endpoint", "says"),
    [
        ("{address: 'a'}", "address: 'a' has no port"),
        ("{strict: true}", "address: missing"),
        ("{address: 3}", "address: a text is wanted, not a number"),
        ("3", "a mapping with an address is wanted"),
        ("{address: 'a:1', addres: x}", "addres: unknown key (did you mean address?)"),
        ("{address: 'a:1', strict: 'yes'}", "strict: true or false is wanted"),
        ("{address: 'a:1', client_config: x}", "client_config: a mapping is wanted"),
        ("{address: 'a:1', client_config: {tls: x}}", "client_config.tls: unknown key"),
        (
            "{address: 'a:1', client_config: {tls_config: {cert_file: x}}}",
            "client_config.tls_config.key_file: missing beside cert_file",
        ),
        (
            "{address: 'a:1', client_config: {tls_config: {enabled: true, server_name: x}}}",
            "client_config.tls_config.server_name: it stands beside tls_config",
        ),
        (
            "{address: 'a:1', client_config: {tls_config: {enabled: ''}}}",
            "client_config.tls_config.enabled: true or false is wanted",
        ),
        (
            "{address: 'a:1', client_config: {tls_config: {ca_file: x, min_version: '1.0'}}}",
            "client_config.tls_config.min_version: '1.0' is not a version",
        ),
        ("{address: 'a:1', client_config: {compression: gzip}}", "client_config.compression: 'gzip' is no"),
        (
            "{address: 'a:1', client_config: {tls_config: {insecure_skip_verify: true, ca_file: x}}}",
            "insecure_skip_verify: it switches off what ca_file asks for",
        ),
        ("{address: 'a:1', service_config: '{}'}", "service_config: it is for groups"),
        ("{address: 'a:1', group: true, service_config: '{'}", "service_config: not JSON"),
    ],
)
def test_each_fault_names_line_endpoint_and_key(endpoint: str, says: str) -> None:
    found = faults(f"endpoints:\n- {endpoint}\n")
    assert len([fault for fault in found if says in fault]) == 1, found
    assert all(fault.startswith("sd.yaml:2: endpoint 1") for fault in found), found


def test_verification_that_only_the_default_skips_is_asked_for_by_an_endpoint() -> None:
    (fault,) = faults(
        """
default_client_config: {tls_config: {insecure_skip_verify: true}}
endpoints:
  - address: a:1
    client_config:
      tls_config: {ca_file: x}
"""
    )
    assert fault.startswith("sd.yaml:6: endpoint 1 (a:1): client_config.tls_config.insecure_skip_verify: it")


def test_all_faults_come_at_once_those_of_the_default_once() -> None:
    found = faults(
        """
default_client_config:
  tls_config: {cert_file: c}
endpoint: []
endpoints:
  - address: a:1
  - address: b:1
  - address: A:1
  - address: c
"""
    )
    assert sorted(fault.partition(" (")[0] for fault in found) == [
        "sd.yaml:3: default_client_config.tls_config.key_file: missing beside cert_file",
        "sd.yaml:4: endpoint: unknown key",
        "sd.yaml:8: endpoint 3",
        "sd.yaml:9: endpoint 4",
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "a mapping with endpoints is wanted, not nothing"),
        ("- endpoints: [a:1]", "a list of groups is for --endpoints.config"),
        ("endpoints: x", "endpoints: a list is wanted"),
        ("endpoints: [", "not valid YAML"),
        ("endpoints: []\nendpoints: []", "the key 'endpoints' is there twice"),
    ],
)
def test_what_is_no_such_file_is_said(content: str, says: str) -> None:
    (fault,) = faults(content)
    assert says in fault


def test_what_of_a_service_config_is_not_followed_is_warned_of() -> None:
    config = load(
        "endpoints:\n- address: a:1\n  group: true\n"
        """  service_config: '{"loadBalancingPolicy": "pick_first", "retryPolicy": {}}'"""
    )
    (warning,) = config.warnings
    assert warning.startswith("sd.yaml:4: service_config: not followed: loadBalancingPolicy, retryPolicy")


@pytest.mark.parametrize(
    ("content", "left_out"),
    [
        ("{}", ()),
        ('{"loadBalancingPolicy": "round_robin"}', ()),
        ('{"loadBalancingConfig": [{"round_robin": {}}]}', ()),
        ('{"loadBalancingConfig": [{"pick_first": {}}]}', ("loadBalancingConfig",)),
        (
            '{"methodConfig": [{"name": [{}], "timeout": "1s", "retryPolicy": {}}]}',
            ("methodConfig.retryPolicy", "methodConfig.timeout"),
        ),
    ],
)
def test_what_a_service_config_asks_for_beyond_what_is_done(content: str, left_out: tuple[str, ...]) -> None:
    assert not_followed(content) == left_out


@pytest.mark.parametrize("content", ["[]", "x", "[" * 100_000])
def test_what_is_no_service_config(content: str) -> None:
    with pytest.raises(ValueError, match="JSON"):
        not_followed(content)


_KEYS = [
    *("default_client_config", "endpoints", "address", "client_config", "tls_config", "enabled", "ca_file"),
    *("cert_file", "min_version", "compression", "group", "service_config", "peer_identities"),
]
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "a:1", "b:2", "1.2", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, min_size=1, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=200)
@given(_values)
def test_anything_is_taken_or_refused_with_reasons(document: Any) -> None:
    try:
        config = load(yaml.safe_dump(document))
    except ConfigError as error:
        assert error.problems
        assert all(problem.where.startswith("sd.yaml") for problem in error.problems)
    else:
        assert len({group.name for group in config.groups}) == len(config.groups)
        assert all(group.endpoints for group in config.groups)
