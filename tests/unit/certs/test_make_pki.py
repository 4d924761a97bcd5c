"""The script that makes the development PKI."""

import runpy
import ssl
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from app.tls.model import Role, TlsFiles, TlsPolicy
from app.tls.rebuild import Spec, material_faults

SCRIPT = Path(__file__).parents[3] / "certs" / "dev" / "make_pki.py"
main = cast(Callable[[list[str]], int], runpy.run_path(str(SCRIPT))["main"])

FOLDERS = [f"{realm}/{name}" for realm in ("eu", "us") for name in ("sidecar-a", "sidecar-b", "querier")]
FOLDERS += ["listener/querier", "listener/client"]


def _contents(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    assert main([str(directory)]) == 0
    return directory


@pytest.mark.parametrize("folder", FOLDERS)
def test_all_of_it_is_material_that_the_querier_takes(made: Path, folder: str) -> None:
    at = made / folder
    files = TlsFiles(cert_file=str(at / "tls.crt"), key_file=str(at / "tls.key"), ca_file=str(at / "ca.crt"))
    for role in Role:
        spec = Spec(role=role, files=files, policy=TlsPolicy())
        assert material_faults(spec, time.time()) == []


def test_the_realms_do_not_trust_each_other(made: Path) -> None:
    assert (made / "eu/ca.crt").read_bytes() != (made / "us/ca.crt").read_bytes()
    assert (made / "eu/sidecar-a/ca.crt").read_bytes() == (made / "eu/ca.crt").read_bytes()
    assert (made / "us/querier/ca.crt").read_bytes() == (made / "us/ca.crt").read_bytes()


def test_keys_are_for_their_owner(made: Path) -> None:
    for key in made.rglob("*.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_running_it_again_changes_nothing(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = _contents(made)
    assert main([str(made)]) == 0
    assert _contents(made) == before
    assert "nothing to do" in capsys.readouterr().out


def test_what_is_broken_is_mended_and_the_rest_left(tmp_path: Path) -> None:
    main([str(tmp_path)])
    before = _contents(tmp_path)
    (tmp_path / "us/sidecar-a/tls.key").write_bytes(b"")
    main([str(tmp_path)])
    after = _contents(tmp_path)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {str(tmp_path / "us/sidecar-a" / name) for name in ("tls.crt", "tls.key")}


def test_renewing_keeps_the_authorities(tmp_path: Path) -> None:
    main([str(tmp_path)])
    before = _contents(tmp_path)
    main([str(tmp_path), "--renew", "--days", "2", "--key-mode", "644"])
    after = _contents(tmp_path)
    assert all((before[name] == after[name]) == ("ca." in name) for name in before)
    assert stat.S_IMODE((tmp_path / "eu/querier/tls.key").stat().st_mode) == 0o644
    context = ssl.create_default_context(cafile=str(tmp_path / "eu/ca.crt"))
    context.load_cert_chain(tmp_path / "eu/querier/tls.crt", tmp_path / "eu/querier/tls.key")


def test_a_directory_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert main([str(tmp_path / "file" / "below")]) == 1
    assert "make_pki:" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "--renew" in capsys.readouterr().out
