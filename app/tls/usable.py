"""Whether material can be used now, for those who must know before they go on."""

import anyio
from prometheus_client import CollectorRegistry

from app.errors import MaterialError, Problem
from app.tls.cache import CertificateCache
from app.tls.metrics import TlsMetrics
from app.tls.model import Role, TlsFiles, TlsPolicy
from app.tls.provider import Provider

Wanted = tuple[str, TlsFiles, TlsPolicy]
"""A group and its material."""


async def unusable(provider: Provider, where: str) -> list[Problem]:
    """The problem with the material of `provider`, if it cannot be used now."""
    try:
        await provider.fresh()
    except MaterialError as error:
        return [Problem(where, str(error))]
    return []


async def unusable_clients(wanted: list[Wanted]) -> list[Problem]:
    """The problems with material that nobody follows yet, in order; it is not followed afterwards either."""
    found: dict[int, list[Problem]] = {}
    cache = CertificateCache(metrics=TlsMetrics(CollectorRegistry()))

    async def look(position: int, group: str, files: TlsFiles, policy: TlsPolicy) -> None:
        provider = cache.provider(group, Role.CLIENT, files, policy)
        found[position] = await unusable(provider, f"group {group}")

    async with anyio.create_task_group() as tasks:
        await tasks.start(cache.run)
        async with anyio.create_task_group() as looks:
            for position, each in enumerate(wanted):
                looks.start_soon(look, position, *each)
        tasks.cancel_scope.cancel()
    return [problem for position in sorted(found) for problem in found[position]]
