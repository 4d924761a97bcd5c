"""`crossrealm check-config`: an endpoints file and all that it names, checked as strictly as can be."""

from pathlib import Path

import anyio
from prometheus_client import CollectorRegistry

from app.config.endpoints_source import load_either_format
from app.config.model import EndpointGroup
from app.discovery.filesd import find
from app.discovery.targets import TargetsError, parse_targets
from app.endpoints.client_tls import client_material
from app.errors import ConfigError, MaterialError, Problem
from app.tls.cache import CertificateCache
from app.tls.certificates import describe
from app.tls.metrics import TlsMetrics
from app.tls.model import Role


def check_endpoints_config(path: Path) -> list[str]:
    """A line for each group, saying what was found.

    :param path: of a file in our format, or in Thanos's.
    :raises ConfigError: with every fault of the file, of the certificates and of the SD files.
    """
    config = load_either_format(path)
    lines, problems = anyio.run(_check, path, config.groups)
    if problems:
        raise ConfigError(problems)
    return [*lines, *(f"warning: {each}" for each in config.warnings)]


async def _check(path: Path, groups: tuple[EndpointGroup, ...]) -> tuple[list[str], list[Problem]]:
    lines: list[str] = []
    problems: list[Problem] = []
    cache = CertificateCache(metrics=TlsMetrics(CollectorRegistry()))
    async with anyio.create_task_group() as tasks:
        await tasks.start(cache.run)
        for group in groups:
            where = f"{path}: group {group.name}"
            tls = await _check_tls(cache, group, where, problems)
            found = await anyio.to_thread.run_sync(_check_sd_files, group, where, problems)
            count = len(group.endpoints)
            endpoints = f"{count} endpoint{'' if count == 1 else 's'}"
            if group.sd_files:
                endpoints += f", {found} in SD files"
            lines.append(f"{group.name}: {endpoints}; {tls}")
        tasks.cancel_scope.cancel()
    return lines, problems


async def _check_tls(
    cache: CertificateCache, group: EndpointGroup, where: str, problems: list[Problem]
) -> str:
    """What the group's material is, in words."""
    if group.tls is None:
        return "plaintext"
    provider = cache.provider(group.name, Role.CLIENT, *client_material(group.tls))
    try:
        material = await provider.fresh()
    except MaterialError as error:
        problems.append(Problem(where, str(error)))
        return ""
    status = provider.status()
    for name, state in (("identity", status.identity), ("trust", status.trust)):
        if state.refused_reason:
            problems.append(Problem(f"{where}: {name}", state.refused_message))
    identity = describe(material.identity) if material.identity else "no client certificate"
    if group.tls.insecure_skip_verify:
        trust = "endpoints are not verified"
    else:
        trust = f"trusts {', '.join(each.subject for each in material.trust) or 'the roots of the system'}"
    return f"TLS {group.tls.min_version} or later; shows {identity}; {trust}"


def _check_sd_files(group: EndpointGroup, where: str, problems: list[Problem]) -> int:
    """How many addresses the group's SD files have."""
    found = find(group.sd_files)
    problems.extend(
        Problem(f"{where}: endpoints_sd_files", f"{path}: no such file") for path in found.missing
    )
    count = 0
    for name, signature, fault in found.files:
        try:
            if signature is None:
                raise TargetsError(fault)
            content = Path(name).read_bytes()
            targets = parse_targets(content, json=name.lower().endswith(".json"))
        except (OSError, TargetsError) as error:
            problems.append(Problem(f"{where}: endpoints_sd_files", f"{name}: {error}"))
            continue
        count += len(targets.addresses)
        problems.extend(Problem(f"{where}: {name}", fault) for fault in targets.faults)
    return count
