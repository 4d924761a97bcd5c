from pathlib import Path

import pytest

from app.errors import ConfigError
from app.tls.model import TlsFiles
from app.web.config import load_web_config


def load(tmp_path: Path, content: str):  # type: ignore[no-untyped-def]
    path = tmp_path / "web.yml"
    path.write_text(content)
    return load_web_config(path)


def test_everything_that_is_supported(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """
tls_server_config:
  cert_file: tls.crt
  key_file: /abs/tls.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [prometheus.example]
  min_version: TLS13
http_server_config: {http2: false, headers: {X-A: b}}
basic_auth_users: {a: $2y$10$abcdefghijklmnopqrstuv}
""",
    )
    assert config.files == TlsFiles(
        cert_file=f"{tmp_path}/tls.crt", key_file="/abs/tls.key", ca_file=f"{tmp_path}/ca.crt"
    )
    assert config.policy.min_version == "1.3"
    assert config.policy.verify_peer
    assert config.policy.peer_identities == ("prometheus.example",)
    assert config.headers == {"X-A": "b"}
    assert set(config.users) == {"a"}


def test_empty_is_plain_http(tmp_path: Path) -> None:
    assert load(tmp_path, "").files is None


def test_all_faults_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(
            tmp_path,
            """
tls_server_config: {cert_file: c, client_auth_type: RequestClientCert, min_version: TLS10}
http_server_config: {http3: true}
basic_auth_users: {a: plain}
other: {}
""",
        )
    found = [str(problem) for problem in caught.value.problems]
    for part in ("other: unknown key", "http3", "basic_auth_users.a: not a bcrypt hash", "key_file: missing",
                 "client_auth_type", "min_version"):  # fmt: skip
        assert any(part in fault for fault in found), (part, found)


@pytest.mark.parametrize("content", ["- a", "a: [", "tls_server_config: 3"])
def test_what_is_no_configuration_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigError):
        load(tmp_path, content)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_web_config(tmp_path / "nowhere.yml")
