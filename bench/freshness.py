"""What the look at the certificate files adds to a handshake when they have not changed."""

import statistics
import time

import anyio
from prometheus_client import CollectorRegistry

from app.tls.cache import CertificateCache
from app.tls.metrics import TlsMetrics
from app.tls.model import Role, TlsFiles, TlsPolicy
from bench.figure import Figure
from bench.stage import stage

LOOKS = 2000


async def run(runs: int) -> list[Figure]:
    """The median over `runs` of the mean time of one look."""
    times = []
    async with stage() as (_, material), anyio.create_task_group() as tasks:
        cache = CertificateCache(metrics=TlsMetrics(CollectorRegistry()))
        await tasks.start(cache.run)
        files = TlsFiles(cert_file=material.cert_file, key_file=material.key_file, ca_file=material.ca_file)
        provider = cache.provider("bench", Role.SERVER, files, TlsPolicy())
        await provider.fresh()
        for _ in range(runs):
            begun = time.perf_counter()
            for _ in range(LOOKS):
                await provider.fresh()
            times.append((time.perf_counter() - begun) / LOOKS)
        tasks.cancel_scope.cancel()
    return [
        Figure(
            name="freshness check, files unchanged",
            value=statistics.median(times) * 1e6,
            unit="µs",
            target=50,
            better="<",
        )
    ]
