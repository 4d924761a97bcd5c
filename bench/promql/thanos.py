"""A Thanos that is there already: its querier and sidecars over the same Prometheus servers, with mTLS."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from app.demo.processes import free_address, running, until_up
from bench.promql.scene import Behind, Server
from bench.sidecar import server_flags
from bench.stage import Material

_LIMIT = 60.0


@asynccontextmanager
async def thanos(program: Path, root: Path, material: Material, below: Behind) -> AsyncIterator[Server]:
    """The querier, when it is ready; it is asked as ours is.

    :param program: the executable.
    :param below: what ours is over; its Prometheus servers are this one's, too.
    """
    tls = [
        "--grpc-client-tls-secure",
        f"--grpc-client-tls-cert={material.cert_file}",
        f"--grpc-client-tls-key={material.key_file}",
        f"--grpc-client-tls-ca={material.ca_file}",
    ]
    async with AsyncExitStack() as stack:

        async def started(name: str, *words: str) -> Server:
            address = free_address()
            command = [str(program), *words, f"--http-address={address}", "--log.level=warn"]
            child = await stack.enter_async_context(running(name, command, root, grace=20.0))
            await until_up(child, f"http://{address}", _LIMIT)
            return Server(address, child.pid)

        endpoints = []
        for number, url in enumerate(below.urls):
            endpoints.append(free_address())
            await started(
                f"thanos-sidecar-{number}", "sidecar", f"--prometheus.url={url}",
                f"--grpc-address={endpoints[-1]}", *server_flags(material),
            )  # fmt: skip
        flags = [*(f"--endpoint={address}" for address in endpoints), *below.flags]
        yield await started("thanos-query", "query", f"--grpc-address={free_address()}", *tls, *flags)
