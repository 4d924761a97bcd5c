"""A provider on real files, for tests: its cache running, its files where it looks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from prometheus_client import CollectorRegistry

from app.tls.cache import CertificateCache
from app.tls.metrics import TlsMetrics
from app.tls.model import Role, TlsFiles, TlsPolicy
from app.tls.provider import Provider
from tests.pki import CA, Leaf, replace


class Clock:
    """Mutable: `now`, seconds since the epoch, moved by the test."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Realm:
    """The files of one group in a directory. Mutable: what the test writes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(exist_ok=True)

    @property
    def files(self) -> TlsFiles:
        return TlsFiles(
            cert_file=str(self.directory / "tls.crt"),
            key_file=str(self.directory / "tls.key"),
            ca_file=str(self.directory / "ca.crt"),
        )

    @property
    def files_with_crl(self) -> TlsFiles:
        return TlsFiles(
            cert_file=self.files.cert_file,
            key_file=self.files.key_file,
            ca_file=self.files.ca_file,
            crl_file=str(self.directory / "ca.crl"),
        )

    def identity(self, leaf: Leaf) -> Leaf:
        leaf.write(self.directory)
        return leaf

    def trust(self, *cas: CA) -> None:
        replace(self.directory / "ca.crt", b"".join(each.pem for each in cas))

    def crls(self, *crls: bytes) -> None:
        replace(self.directory / "ca.crl", b"".join(crls))


class Following:
    """A running cache."""

    def __init__(self, cache: CertificateCache, registry: CollectorRegistry) -> None:
        self.cache = cache
        self.registry = registry

    def provider(
        self, files: TlsFiles, role: Role = Role.CLIENT, policy: TlsPolicy | None = None
    ) -> Provider:
        return self.cache.provider("eu", role, files, policy or TlsPolicy())

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"crossrealm_tls_{name}", {"group": "eu", **labels})


@asynccontextmanager
async def following(clock: Callable[[], float] | None = None) -> AsyncIterator[Following]:
    """A cache whose watcher runs until the block ends."""
    registry = CollectorRegistry()
    metrics = TlsMetrics(registry)
    cache = (
        CertificateCache(metrics=metrics) if clock is None else CertificateCache(metrics=metrics, clock=clock)
    )
    async with anyio.create_task_group() as tasks:
        await tasks.start(cache.run)
        yield Following(cache, registry)
        tasks.cancel_scope.cancel()
