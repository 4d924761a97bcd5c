"""The sidecar's flags, and its HTTP client's file."""

from pathlib import Path

import pytest

from app.config.http_client import load_http_client, parse_http_client
from app.config.model import HttpClientConfig, MinTime, TlsConfig
from app.config.sidecar_flags import SidecarFlags, parse_min_time, sidecar_settings
from app.errors import ConfigError


def faults(flags: SidecarFlags) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        sidecar_settings(flags)
    return [str(problem) for problem in caught.value.problems]


def test_defaults_are_thanos_own() -> None:
    settings = sidecar_settings(SidecarFlags())
    assert settings.prometheus_url == "http://localhost:9090"
    assert (settings.heartbeat_interval, settings.heartbeat_timeout) == (30, 30)
    assert settings.min_time == MinTime()
    assert settings.http_client == HttpClientConfig()


def test_a_url_with_a_path() -> None:
    settings = sidecar_settings(SidecarFlags(prometheus_url="https://host:9090/prefix/"))
    assert settings.prometheus_url == "https://host:9090/prefix"


@pytest.mark.parametrize(
    "url", ["localhost:9090", "ftp://a", "http://", "http://a:b", "http://a:99999", "http://a/?x=1", ""]
)
def test_urls_that_are_none(url: str) -> None:
    assert "is not the URL of a Prometheus" in faults(SidecarFlags(prometheus_url=url))[0]


def test_every_fault_at_once() -> None:
    found = faults(
        SidecarFlags(
            prometheus_url="x",
            min_time="yesterday",
            store_limits_request_series=-1,
            prometheus_get_config_interval=0,
            prometheus_http_client="bearer: x",
            prometheus_http_client_file="/nowhere.yaml",
            grpc_address="x",
        )
    )
    for says in (
        "--prometheus.url", "--min-time", "--store.limits.request-series",
        "--prometheus.get_config_interval", "it excludes --prometheus.http-client-file",
        "/nowhere.yaml: no such file", "--grpc-address",
    ):  # fmt: skip
        assert any(says in each for each in found), says


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0000-01-01T00:00:00Z", MinTime()),
        ("1970-01-01T00:00:01.5Z", MinTime(at=1500)),
        ("1970-01-01T01:00:00+01:00", MinTime(at=0)),
        ("-2w", MinTime(from_now=-14 * 86_400)),
        ("2h45m", MinTime(from_now=9900)),
    ],
)
def test_min_times(text: str, wanted: MinTime) -> None:
    assert parse_min_time(text) == wanted


@pytest.mark.parametrize("text", ["", "now", "2026-01-31", "2026-13-01T00:00:00Z", "--1d", "-"])
def test_min_times_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"neither a time|month must be|is not"):
        parse_min_time(text)


def test_an_http_client_file_with_relative_paths(tmp_path: Path) -> None:
    path = tmp_path / "client.yaml"
    path.write_text(
        "basic_auth: {username: me, password_file: secret}\n"
        "proxy_url: http://proxy:3128\n"
        "tls_config: {ca_file: ca.crt, cert_file: /abs/tls.crt, key_file: tls.key, server_name: prom}\n"
        "transport_config:\n"
        "  {max_conns_per_host: 7, idle_conn_timeout: 5000000000, disable_compression: true}\n"
    )
    assert load_http_client(path) == HttpClientConfig(
        username="me",
        password_file=str(tmp_path / "secret"),
        proxy_url="http://proxy:3128",
        tls=TlsConfig(
            ca_file=str(tmp_path / "ca.crt"),
            cert_file="/abs/tls.crt",
            key_file=str(tmp_path / "tls.key"),
            server_name="prom",
            min_version="1.2",
        ),
        max_connections=7,
        idle_timeout=5.0,
        compression=False,
    )


def test_no_settings_are_the_defaults() -> None:
    for content in ("", "tls_config: {}", "basic_auth:"):
        assert parse_http_client(content, "flag") == HttpClientConfig()


def test_faults_of_an_http_client_come_together() -> None:
    content = """
basic_auth: {username: me, password: x, password_file: y}
bearer_token: z
bearer_token_file: z
proxy_url: proxy:3128
tls_config: {cert_file: a, insecure_skip_verify: true, ca_file: b}
transport_config: {max_idle_conns: many}
oauth2: {}
"""
    with pytest.raises(ConfigError) as caught:
        parse_http_client(content, "flag")
    found = [str(problem) for problem in caught.value.problems]
    for says in (
        "password and password_file exclude", "bearer_token and bearer_token_file exclude",
        "basic_auth and bearer_token exclude", "proxy_url", "tls_config.key_file: missing",
        "insecure_skip_verify", "transport_config: Expected `int`", "oauth2: unknown key",
    ):  # fmt: skip
        assert any(says in each for each in found), (says, found)


@pytest.mark.parametrize("content", ["[", "- a", "a: b: c"])
def test_no_mapping(content: str) -> None:
    with pytest.raises(ConfigError, match=r"not valid YAML|a mapping is wanted"):
        parse_http_client(content, "flag")
