"""10,000 series of 6 h at 15 s out of a real Prometheus: through the sidecar, and through a querier above it.

The peer is a reader of the same remote-read stream that throws its bytes away. The runs alternate.
"""

import statistics
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psutil

from app.demo.processes import Child, free_address, running_server
from bench.asking import Asker, Worker
from bench.figure import Figure
from bench.prometheus import prometheus
from bench.stage import Material, querier, stage

SERIES = 10_000
HOURS = 6
BATCH = 64


@asynccontextmanager
async def sidecar(url: str, root: Path, flags: Sequence[str], name: str) -> AsyncIterator[tuple[Child, str]]:
    """``crossrealm sidecar`` in front of the Prometheus at `url`, and its gRPC address."""
    address, http_address = free_address(), free_address()
    given = [f"--prometheus.url={url}", f"--grpc-address={address}", "--log.level=warn", *flags]
    async with running_server("sidecar", given, root, http_address=http_address, name=name) as child:
        yield child, address


def server_flags(material: Material) -> list[str]:
    """mTLS of a listener."""
    return [
        f"--grpc-server-tls-cert={material.cert_file}",
        f"--grpc-server-tls-key={material.key_file}",
        f"--grpc-server-tls-client-ca={material.ca_file}",
    ]


async def run(runs: int) -> list[Figure]:
    """Sidecar against the stream alone, and sidecar with querier against the sidecar."""
    async with stage() as (root, material), AsyncExitStack() as stack:
        filled = await stack.enter_async_context(prometheus(root, SERIES, HOURS))
        plain, plain_address = await stack.enter_async_context(sidecar(filled.url, root, [], "plain"))
        secure, secure_address = await stack.enter_async_context(
            sidecar(filled.url, root, server_flags(material), "secure")
        )
        above = await stack.enter_async_context(querier(root, material, [secure_address]))
        alone = Worker(["bench.remote_reader", filled.url.removeprefix("http://")])
        askers = {
            "plain": Asker("official", plain_address, BATCH, None),
            "secure": Asker("official", secure_address, BATCH, material),
            "querier": Asker("official", above.grpc_address, BATCH, material),
        }
        for each in (alone, *askers.values()):
            stack.callback(each.close)
        await _check(askers)
        processes = {"plain": psutil.Process(plain.pid), "secure": psutil.Process(secure.pid)}
        seconds: dict[str, list[float]] = {name: [] for name in ("alone", *askers)}
        cpu: dict[str, list[float]] = {name: [] for name in processes}
        size = 0
        for _ in range(runs):
            answer = await alone.ask()
            seconds["alone"].append(answer["seconds"])
            size = answer["bytes"]
            for name, asker in askers.items():
                before = sum(processes[name].cpu_times()[:2]) if name in processes else 0.0
                seconds[name].append((await asker.ask())["seconds"])
                if name in processes:
                    cpu[name].append((sum(processes[name].cpu_times()[:2]) - before) / SERIES * 1e6)
        return _figures({name: statistics.median(each) for name, each in seconds.items()}, cpu, size)


def _figures(medians: dict[str, float], cpu: dict[str, list[float]], size: int) -> list[Figure]:
    shown = ", ".join(f"{name} {each * 1e3:.0f} ms" for name, each in medians.items())
    used = {name: statistics.median(each) for name, each in cpu.items()}
    return [
        Figure(
            name="sidecar: gRPC client / the remote-read stream alone",
            value=medians["plain"] / medians["alone"],
            unit="",
            target=1.3,
            better="<=",
            detail=f"{shown}; {size / 1e6:.0f} MB",
        ),
        Figure(
            name="sidecar: CPU a series",
            value=used["plain"],
            unit="µs",
            target=30,
            better="<=",
            detail=f"with mTLS {used['secure']:.1f} µs",
        ),
        Figure(
            name="sidecar and querier, mTLS on both hops / the sidecar alone, mTLS",
            value=medians["querier"] / medians["secure"],
            unit="",
            target=1.5,
            better="<=",
        ),
    ]


async def _check(askers: dict[str, Asker]) -> None:
    """Once, untimed: nothing is missing, and all say the same."""
    found = [await asker.ask("check") for asker in askers.values()]
    if {each["series"] for each in found} != {SERIES} or len({each["digest"] for each in found}) != 1:
        raise RuntimeError(f"the answers differ: {found}")
