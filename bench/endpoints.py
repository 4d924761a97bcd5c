"""Two hundred endpoints that each take 100 ms: asked at the same time, not one after the other."""

import statistics
from contextlib import AsyncExitStack

from app.demo.dataset import Shape
from app.demo.processes import running_store
from app.demo.store_options import Faults, StoreOptions, arguments
from bench.asking import Asker
from bench.figure import Figure
from bench.stage import Material, querier, stage

ENDPOINTS = 200
DELAY = 0.1


def store_flags(material: Material, count: int, delay: float = 0.0) -> list[str]:
    """Of one process that serves `count` synthetic stores with mTLS."""
    options = StoreOptions(
        count=count,
        cert_file=material.cert_file,
        key_file=material.key_file,
        client_ca_file=material.ca_file,
        shape=Shape(series=4),
        faults=Faults(delay=delay),
    )
    return arguments(options)


async def run(runs: int) -> list[Figure]:
    """The median time of an answer, after one that opens all connections."""
    async with stage() as (root, material), AsyncExitStack() as stack:
        _, addresses = await stack.enter_async_context(
            running_store("stores", store_flags(material, ENDPOINTS, DELAY), root)
        )
        running = await stack.enter_async_context(querier(root, material, addresses))
        asker = Asker("official", running.grpc_address, 64, material)
        stack.callback(asker.close)
        first = await asker.ask("check")
        times = [(await asker.ask())["seconds"] for _ in range(max(runs, 5))]
    return [
        Figure(
            name=f"{ENDPOINTS} endpoints, each delayed by {DELAY * 1e3:.0f} ms",
            value=statistics.median(times) * 1e3,
            unit="ms",
            target=350,
            better="<",
            detail=f"slowest {max(times) * 1e3:.0f} ms; {first['series']} series",
        )
    ]
