"""Flags to settings: the families of client TLS flags, what excludes what, and all faults at once."""

from pathlib import Path

import pytest

from app.config.endpoints_source import load_either_format
from app.config.model import ListenerTls, MissingEndpoints, Mode, TlsConfig
from app.config.query_flags import FLAG_GROUP, QueryFlags, query_settings
from app.errors import ConfigError, Problem


def faults(**flags: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        query_settings(QueryFlags(**flags))  # type: ignore[arg-type]
    return [str(problem) for problem in caught.value.problems]


def test_defaults_are_those_of_thanos() -> None:
    settings = query_settings(QueryFlags())
    assert settings.groups == ()
    assert settings.grpc.address == "0.0.0.0:10901"
    assert settings.http.address == "0.0.0.0:10902"
    assert settings.grpc.max_connection_age == 3600
    assert settings.grpc.max_connection_age_grace is None
    assert settings.client_max_message_size == 2**31 - 1
    assert settings.missing_endpoints is MissingEndpoints.WARN
    assert "no endpoints" in settings.warnings[0]


def test_endpoints_of_the_flags_are_one_group() -> None:
    (group,) = query_settings(
        QueryFlags(endpoint=("a:1",), endpoint_strict=("b:1",), endpoint_sd_files=("x.yaml",))
    ).groups
    assert group.name == FLAG_GROUP
    assert group.tls is None
    assert group.endpoints == ("a:1", "b:1")
    assert group.strict_endpoints == {"b:1"}
    assert group.sd_files == ("x.yaml",)
    assert group.mode is Mode.NORMAL


def test_the_proposals_tls_flags_need_secure_and_say_what_replaces_them() -> None:
    settings = query_settings(
        QueryFlags(endpoint=("a:1",), secure=True, cert="c", key="k", ca_cert="a", server_name="s")
    )
    assert settings.groups[0].tls == TlsConfig(cert_file="c", key_file="k", ca_file="a", server_name="s")
    assert any("--endpoints.config replaces" in warning for warning in settings.warnings)
    (fault,) = faults(endpoint=("a:1",), cert="c", key="k", ca_cert="a", server_name="s")
    assert fault.startswith("--cert, --key, --caCert, --serverName: without --secure")


def test_the_flags_of_thanos_today_do_the_same() -> None:
    (group,) = query_settings(
        QueryFlags(
            endpoint=("a:1",),
            grpc_client_tls_secure=True,
            grpc_client_tls_cert="c",
            grpc_client_tls_key="k",
            grpc_client_tls_ca="a",
            grpc_client_server_name="s",
            grpc_client_tls_min_version="1.2",
        )
    ).groups
    assert group.tls == TlsConfig(
        cert_file="c", key_file="k", ca_file="a", server_name="s", min_version="1.2"
    )
    (fault,) = faults(endpoint=("a:1",), grpc_client_tls_ca="a")
    assert fault.startswith("--grpc-client-tls-ca: without --grpc-client-tls-secure")


def test_secure_alone_is_tls_with_the_roots_of_the_system() -> None:
    (group,) = query_settings(QueryFlags(endpoint=("a:1",), secure=True)).groups
    assert group.tls == TlsConfig()


def test_the_two_families_do_not_mix() -> None:
    found = faults(
        endpoint=("a:1",), secure=True, cert="c", key="k", grpc_client_tls_secure=True, grpc_client_tls_ca="a"
    )
    assert any("two families of flags" in fault for fault in found)


def test_the_two_flags_that_only_thanos_has_go_with_secure() -> None:
    settings = query_settings(QueryFlags(endpoint=("a:1",), secure=True, grpc_client_tls_min_version="1.2"))
    assert settings.groups[0].tls == TlsConfig(min_version="1.2")
    assert faults(endpoint=("a:1",), grpc_client_tls_min_version="1.2")


def test_intervals_are_not_zero() -> None:
    found = faults(endpoint_info_timeout=0.0, store_sd_interval=0.0)
    assert [fault.split(":")[0] for fault in found] == ["--endpoint.info-timeout", "--store.sd-interval"]


def test_halves_and_contradictions() -> None:
    assert any("--key: missing" in fault for fault in faults(endpoint=("a:1",), secure=True, cert="c"))
    found = faults(
        endpoint=("a:1",),
        grpc_client_tls_secure=True,
        grpc_client_tls_skip_verify=True,
        grpc_client_tls_ca="a",
    )
    assert any(fault.startswith("--grpc-client-tls-skip-verify: it switches off") for fault in found)


def test_the_file_excludes_the_flags_and_says_which(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    path.write_text("- endpoints: ['a:1']\n")
    assert query_settings(QueryFlags(endpoints_config=str(path))).groups[0].endpoints == ("a:1",)
    (fault,) = faults(
        endpoints_config=str(path),
        endpoint=("b:1",),
        endpoint_sd_files=("x",),
        secure=True,
        grpc_client_tls_ca="a",
    )
    for flag in ("--endpoint,", "--endpoint.sd-files", "--secure", "--grpc-client-tls-ca"):
        assert flag in fault


def test_faults_of_flags_and_file_come_together(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    path.write_text("- endpoints: [a]\n")
    with pytest.raises(ConfigError) as caught:
        query_settings(
            QueryFlags(endpoints_config=str(path), grpc_address="x", selector_label=("a=b",)),
            [Problem("--tls.drain-window", "not a duration")],
        )
    found = [str(problem) for problem in caught.value.problems]
    assert len(found) == 4
    for part in ("--tls.drain-window", "e.yaml:1: item 1", "--grpc-address", "--selector-label"):
        assert any(part in fault for fault in found)


def test_a_file_without_endpoints_is_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "endpoints.yaml"
    file.write_text("[]")
    (warning,) = query_settings(QueryFlags(endpoints_config=str(file))).warnings
    assert "no endpoints are configured" in warning


def test_an_address_is_given_once() -> None:
    (fault,) = faults(endpoint=("a:1",), endpoint_strict=("a:1",))
    assert fault == "--endpoint.strict: a:1 is given by --endpoint already"


def test_the_listener() -> None:
    tls = query_settings(
        QueryFlags(
            grpc_server_tls_cert="c",
            grpc_server_tls_key="k",
            grpc_server_tls_client_ca="a",
            grpc_server_tls_crl="r",
            grpc_server_tls_min_version="1.2",
            grpc_server_tls_ciphers=(
                "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,ECDHE-RSA-AES128-GCM-SHA256",
                "TLS_AES_128_GCM_SHA256",
            ),
            grpc_server_tls_curves=("CurveP256",),
            grpc_server_allowed_identity=("spiffe://a.example/b",),
        )
    ).grpc.tls
    assert tls == ListenerTls(
        cert_file="c",
        key_file="k",
        client_ca_file="a",
        crl_file="r",
        min_version="1.2",
        ciphers=("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"),
        curves=("prime256v1",),
        allowed_identities=("spiffe://a.example/b",),
    )


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"grpc_server_tls_cert": "c"}, "--grpc-server-tls-key: missing"),
        ({"grpc_server_tls_key": "c"}, "--grpc-server-tls-cert: missing"),
        ({"grpc_server_tls_client_ca": "a"}, "the listener is plaintext"),
        (
            {"grpc_server_tls_cert": "c", "grpc_server_tls_key": "k", "grpc_server_allowed_identity": ("a",)},
            "add --grpc-server-tls-client-ca",
        ),
        (
            {"grpc_server_tls_cert": "c", "grpc_server_tls_key": "k", "grpc_server_tls_crl": "r"},
            "add --grpc-server-tls-client-ca",
        ),
        (
            {
                "grpc_server_tls_cert": "c",
                "grpc_server_tls_key": "k",
                "grpc_server_tls_client_ca": "a",
                "grpc_server_allowed_identity": ("a b",),
            },
            "neither a SPIFFE URI nor a DNS name",
        ),
        (
            {
                "grpc_server_tls_cert": "c",
                "grpc_server_tls_key": "k",
                "grpc_server_tls_ciphers": ("TLS_RSA_WITH_RC4_128_SHA",),
            },
            "unknown or insecure: TLS_RSA_WITH_RC4_128_SHA",
        ),
        (
            {
                "grpc_server_tls_cert": "c",
                "grpc_server_tls_key": "k",
                "grpc_server_tls_curves": ("X25519", "CurveP256"),
            },
            "one of CurveP256",
        ),
        (
            {"grpc_server_tls_cert": "c", "grpc_server_tls_key": "k", "grpc_server_tls_min_version": "1.1"},
            "'1.1' is not allowed",
        ),
        ({"grpc_address": "a"}, "--grpc-address"),
        ({"http_address": "a:99999"}, "--http-address"),
    ],
)
def test_faults_of_the_listener(flags: dict[str, object], says: str) -> None:
    assert any(says in fault for fault in faults(**flags))


def test_one_curve_by_the_name_that_thanos_knows() -> None:
    settings = query_settings(
        QueryFlags(grpc_server_tls_cert="c", grpc_server_tls_key="k", grpc_server_tls_curves=("X25519",))
    )
    assert settings.grpc.tls is not None
    assert settings.grpc.tls.curves == ("X25519",)


def test_selector_labels_are_sorted_and_unescaped() -> None:
    settings = query_settings(QueryFlags(selector_label=('b="2"', 'a="x\\"y"')))
    assert settings.selector_labels == (("a", 'x"y'), ("b", "2"))
    assert any("given twice" in fault for fault in faults(selector_label=('a="1"', 'a="2"')))


SD_CONFIG = "endpoints: [{address: 'a:1', client_config: {tls_config: {ca_file: x}}}]"


def test_thanos_format_from_a_file_and_from_a_flag(tmp_path: Path) -> None:
    path = tmp_path / "sd.yaml"
    path.write_text(SD_CONFIG)
    from_file = query_settings(QueryFlags(endpoint_sd_config_file=str(path)))
    from_flag = query_settings(QueryFlags(endpoint_sd_config=SD_CONFIG))
    assert from_file.groups == from_flag.groups
    assert from_file.groups[0].tls == TlsConfig(ca_file="x")
    assert (from_file.source.path, from_flag.source.path) == (str(path), "")


def test_thanos_format_stands_beside_other_flags() -> None:
    settings = query_settings(
        QueryFlags(
            endpoint_sd_config=SD_CONFIG,
            endpoint=("b:1",),
            endpoint_strict=("c:1",),
            grpc_client_tls_secure=True,
            grpc_client_tls_ca="flag.pem",
        )
    )
    assert [(group.endpoints, group.tls) for group in settings.groups] == [
        (("a:1",), TlsConfig(ca_file="x")),
        (("b:1", "c:1"), TlsConfig(ca_file="flag.pem")),
    ]
    assert settings.groups[1].strict_endpoints == {"c:1"}


def test_the_two_flags_of_thanos_format_exclude_each_other_and_ours_excludes_both() -> None:
    assert faults(endpoint_sd_config_file="x", endpoint_sd_config=SD_CONFIG)[0].startswith(
        "--endpoint.sd-config-file: it excludes --endpoint.sd-config"
    )
    found = faults(endpoints_config="x", endpoint_sd_config=SD_CONFIG)
    assert found[0].startswith("--endpoints.config: it excludes --endpoint.sd-config")


def test_faults_of_content_name_the_flag() -> None:
    (fault,) = faults(endpoint_sd_config="endpoints:\n- address: x")
    assert fault.startswith("--endpoint.sd-config:2: endpoint 1 (x): address: 'x' has no port")


def test_a_file_of_either_format_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(SD_CONFIG)
    assert load_either_format(path).groups[0].endpoints == ("a:1",)
    path.write_text("- endpoints: ['b:1']")
    assert load_either_format(path).groups[0].endpoints == ("b:1",)
