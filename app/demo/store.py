"""A synthetic store as a process: ``python -m app.demo.store --realm eu --replica a --cert ...``.

Serves over the listener that the querier itself uses. The first line on stdout is one JSON object with the
bound addresses; it is written when calls are accepted.
"""

import importlib.util
import signal
import sys
from collections.abc import Sequence

import anyio
import msgspec
import structlog
from prometheus_client import CollectorRegistry

from app.demo.dataset import Dataset
from app.demo.store_options import StoreOptions, parse
from app.demo.synthetic import SyntheticStore
from app.errors import CrossrealmError
from app.rpc.acceptor import bind
from app.rpc.listener import Listener, ListenerOptions
from app.rpc.server_metrics import ServerMetrics
from app.tls.cache import CertificateCache
from app.tls.metrics import TlsMetrics
from app.tls.model import Role, TlsFiles, TlsPolicy
from app.tls.provider import Provider


class StoreError(CrossrealmError):
    """The store cannot start."""


def _announce(addresses: Sequence[str]) -> None:
    sys.stdout.buffer.write(msgspec.json.encode({"addresses": addresses}) + b"\n")
    sys.stdout.buffer.flush()


async def serve(options: StoreOptions) -> None:
    """Serve until SIGTERM or SIGINT, then let the calls in flight end.

    :raises CrossrealmError: an address or the certificates cannot be used.
    """
    registry = CollectorRegistry()
    cache = CertificateCache(metrics=TlsMetrics(registry))
    metrics = ServerMetrics(registry)
    tls = _provider(cache, options)
    listeners, addresses = [], []
    for number in range(options.count):
        replica = options.replica if options.count == 1 else f"{options.replica}-{number}"
        store = SyntheticStore(Dataset(options.realm, replica, options.shape), options.faults)
        try:
            sockets = bind(options.address)
        except OSError as error:
            raise StoreError(f"cannot listen on {options.address}: {error}") from error
        addresses.append(_written(sockets[0].getsockname()))
        listener_options = ListenerOptions(
            max_connection_age=options.max_connection_age, drain_window=options.drain_window
        )
        listeners.append(
            Listener(store.services(), sockets, tls=tls, options=listener_options, metrics=metrics)
        )
    async with anyio.create_task_group() as tasks:
        await tasks.start(cache.run)
        if tls is not None:
            await tls.fresh()  # certificates that cannot be used are an error at start
        for listener in listeners:
            await tasks.start(listener.run)
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            _announce(addresses)
            async for _ in signals:
                break
        async with anyio.create_task_group() as drains:
            for listener in listeners:
                drains.start_soon(listener.drain, options.grace)
        tasks.cancel_scope.cancel()


def _provider(cache: CertificateCache, options: StoreOptions) -> Provider | None:
    if not options.cert_file:
        return None
    files = TlsFiles(cert_file=options.cert_file, key_file=options.key_file, ca_file=options.client_ca_file)
    policy = TlsPolicy(min_version=options.min_version, verify_peer=bool(options.client_ca_file))
    return cache.provider("store", Role.SERVER, files, policy)


def _written(bound: tuple[str, int]) -> str:
    host, port = bound[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def main(arguments: Sequence[str]) -> None:
    options = parse(arguments)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    uvloop = importlib.util.find_spec("uvloop") is not None
    try:
        anyio.run(serve, options, backend_options={"use_uvloop": uvloop})
    except* CrossrealmError as group:
        sys.exit("\n".join(f"store: {error}" for error in group.exceptions))


if __name__ == "__main__":
    main(sys.argv[1:])
