"""All endpoints of a configuration, examined side by side."""

from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
import anyio.to_thread
from prometheus_client import CollectorRegistry

from app.config.addresses import parse_dns_address
from app.config.model import EndpointGroup
from app.discovery.dns import LookupFailed, Lookups, Resolved
from app.discovery.filesd import find
from app.discovery.targets import TargetsError, parse_targets
from app.doctor.advice import advice
from app.doctor.examination import Examination
from app.doctor.model import Diagnosis
from app.endpoints.client_tls import client_material
from app.errors import MaterialError
from app.tls.cache import CertificateCache
from app.tls.metrics import TlsMetrics
from app.tls.model import Role
from app.tls.provider import Provider

AT_ONCE = 64
"""Endpoints that are examined at once."""


async def visit(
    groups: Sequence[EndpointGroup],
    *,
    timeout: float,
    lookups: Lookups,
    seen: Callable[[int, int], None] = lambda done, of: None,
) -> list[Diagnosis]:
    """A diagnosis for each endpoint, in the order of the groups.

    :param timeout: seconds of each step with an endpoint.
    :param seen: told how many are done, of how many.
    """
    cache = CertificateCache(metrics=TlsMetrics(CollectorRegistry()))
    found: dict[tuple[int, int], Diagnosis] = {}
    limit = anyio.Semaphore(AT_ONCE)
    async with anyio.create_task_group() as running:
        await running.start(cache.run)
        visits: list[tuple[tuple[int, int], Examination]] = []
        for number, group in enumerate(groups):
            provider, refusal = await _material(cache, group)
            endpoints, failures = await _endpoints(group, lookups)
            for position, failure in enumerate(failures):
                found[number, -len(failures) + position] = failure
            for position, endpoint in enumerate(endpoints):
                if refusal is not None:
                    found[number, position] = _refused(group, endpoint, refusal)
                else:
                    examination = Examination(group, endpoint.address, endpoint.name, provider, timeout)
                    visits.append(((number, position), examination))

        async def one(key: tuple[int, int], examination: Examination) -> None:
            async with limit:
                found[key] = await examination.run()
            seen(len(found), len(visits))

        async with anyio.create_task_group() as tasks:
            for key, examination in visits:
                tasks.start_soon(one, key, examination)
        running.cancel_scope.cancel()
    return [found[key] for key in sorted(found)]


async def _material(
    cache: CertificateCache, group: EndpointGroup
) -> tuple[Provider | None, MaterialError | None]:
    """The group's certificates; why they cannot be used."""
    if group.tls is None:
        return None, None
    provider = cache.provider(group.name, Role.CLIENT, *client_material(group.tls))
    try:
        await provider.fresh()
    except MaterialError as error:
        return provider, error
    return provider, None


def _refused(group: EndpointGroup, endpoint: Resolved, refusal: MaterialError) -> Diagnosis:
    return Diagnosis(
        group=group.name,
        address=endpoint.address,
        failed_at="material",
        reason=refusal.reason,
        error=f"our own certificates cannot be used: {refusal}",
        advice="correct the file; the endpoint was not asked",
    )


async def _endpoints(group: EndpointGroup, lookups: Lookups) -> tuple[list[Resolved], list[Diagnosis]]:
    """The addresses of a group, and the names and files that gave none."""
    files, failures = await anyio.to_thread.run_sync(_in_files, group)
    found: dict[Resolved, None] = {}
    for written in (*group.endpoints, *files):
        name = parse_dns_address(written)
        if name is None:
            found[Resolved(written, "")] = None
            continue
        try:
            resolved = await lookups.look_up(name)
        except LookupFailed as error:
            failures.append(_unresolved(group, written, str(error)))
            continue
        if not resolved:
            failures.append(_unresolved(group, written, "the name has no addresses"))
        found.update(dict.fromkeys(resolved))
    return list(found), failures


def _unresolved(group: EndpointGroup, written: str, error: str) -> Diagnosis:
    return Diagnosis(
        group=group.name,
        address=written,
        failed_at="resolve",
        reason="dns",
        error=error,
        advice=advice("dns", group),
    )


def _in_files(group: EndpointGroup) -> tuple[list[str], list[Diagnosis]]:
    """Addresses in the files of file SD, and the files that cannot be read."""
    addresses: list[str] = []
    failures: list[Diagnosis] = []
    found = find(group.sd_files)
    unread = [(path, "there is no such file") for path in found.missing]
    for name, signature, fault in found.files:
        try:
            if signature is None:
                raise TargetsError(fault)
            targets = parse_targets(Path(name).read_bytes(), json=name.lower().endswith(".json"))
        except (OSError, TargetsError) as error:
            unread.append((name, str(error)))
        else:
            addresses.extend(targets.addresses)
    for path, reason in unread:
        failures.append(
            Diagnosis(
                group=group.name,
                address=path,
                failed_at="discovery",
                reason="file",
                error=reason,
                advice="correct the file, or endpoints_sd_files",
            )
        )
    return addresses, failures
