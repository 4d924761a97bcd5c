"""Groups whose endpoints come from files: real files, and the real clock."""

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from app.config.model import EndpointGroup, Mode, TlsConfig
from app.endpoints.environment import Certificates
from app.endpoints.model import EndpointChannel, State
from app.rpc.channel import Channel
from app.tls.cache import CertificateCache
from tests.unit.endpoints.fakes import Bench

pytestmark = pytest.mark.anyio

A, B, C = "10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"
TLS = TlsConfig(ca_file="ca.pem")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def write(path: Path, *addresses: str) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(f"- targets: {list(addresses)}\n")
    temporary.rename(path)


async def until(bench: Bench, holds: Callable[[], bool]) -> None:
    """Look at every snapshot that differs from the last; there is no event for a test to wait for."""
    with anyio.fail_after(10):
        while not holds():  # noqa: ASYNC110
            await anyio.sleep(0.005)


async def test_endpoints_come_and_go_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "eu.yaml"
    write(path, A, B)
    bench = Bench()
    group = EndpointGroup(name="eu", tls=TLS, endpoints=(C,), sd_files=(str(path),), mode=Mode.STRICT)
    async with bench.running(group) as endpoints:
        with anyio.fail_after(10):
            await endpoints.wait_first_round()
        assert list(bench.views()) == [C, A, B]
        assert all(view.strict and view.state is State.HEALTHY for view in bench.views().values())
        first = bench.network.of(B)
        with endpoints.lease() as leased:
            write(path, B)
            await until(bench, lambda: list(bench.views()) == [C, B])
            assert not bench.network.of(A).closed_with
            assert len(leased.endpoints) == 3
        await until(bench, lambda: not bench.network.of(A).running)
        assert bench.network.of(B) is first
        write(path)
        await until(bench, lambda: list(bench.views()) == [C])


async def test_plaintext_waits_for_the_files_of_tls_groups(tmp_path: Path) -> None:
    path = tmp_path / "eu.json"
    path.write_text(f'[{{"targets": ["{A}"]}}]')
    bench = Bench()
    plain = EndpointGroup(name="plain", endpoints=(A, B))
    secure = EndpointGroup(name="eu", tls=TLS, sd_files=(str(path),))
    async with bench.running(plain, secure) as endpoints:
        with anyio.fail_after(10):
            await endpoints.wait_first_round()
        assert {each.address: each.tls is not None for each in bench.network.channels} == {A: True, B: False}
        assert endpoints.discovery_failed() == ()
        path.write_text(f'[{{"targets": ["{A}", "{B}"]}}]')
        await until(bench, lambda: bench.views()[B].group == "eu")
        assert bench.network.of(B).tls is not None


async def test_a_file_that_cannot_be_read_is_a_failed_discovery(tmp_path: Path) -> None:
    path = tmp_path / "eu.yaml"
    bench = Bench(sd_interval=3600)
    async with bench.running(EndpointGroup(name="eu", sd_files=(str(path), str(tmp_path / "*.json")))) as (
        endpoints
    ):
        with anyio.fail_after(10):
            await endpoints.wait_first_round()
        (failure,) = endpoints.discovery_failed()
        assert failure == f"group eu: {path}: there is no such file"
        write(path, A)
        await until(bench, lambda: A in bench.views() and endpoints.discovery_failed() == ())


async def test_refresh_reads_files_that_look_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.discovery.filesd.watchable", lambda directory: None)
    path = tmp_path / "eu.yaml"
    write(path, A)
    bench = Bench(sd_interval=3600)
    async with bench.running(EndpointGroup(name="eu", sd_files=(str(path),))) as endpoints:
        with anyio.fail_after(10):
            await endpoints.wait_first_round()
        write(path, B)
        endpoints.request_refresh()
        await until(bench, lambda: list(bench.views()) == [B])


def _fit(channel: Channel, cache: CertificateCache) -> tuple[EndpointChannel, Certificates]:
    """Not run: mypy fails here when the real ones no longer fit the protocols that the fakes stand in for."""
    return channel, cache
