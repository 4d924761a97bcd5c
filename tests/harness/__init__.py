"""The real command under test, with real stores behind it and load on it.

A scenario test keeps one promise to operators and is readable by one of them::

    async def test_a_torn_pair_never_fails_a_call(tmp_path: Path) -> None:
        async with world(tmp_path, realms=("eu",), flags=["--tls.drain-window=1s"]) as here:
            async with here.load(rate=200) as tally:
                ...write something broken into here.realms["eu"]...
                await here.until(lambda rows: ..., limit=10)
            assert tally.calls > 0
            assert list(tally.faults) == []

What there is:

``world``      realms with their certificates (`app.demo.realms.Realm`), stores as processes, and the real
               ``crossrealm query`` as a process, entered when it is ready. `World` has `realms`, `front` (the
               querier's own certificates and those of its callers), `stores`, `querier`, `datasets`.
``querier``    only the command, with flags of your own: for what is wrong from the start.
``store``      only a store process; `Faults` makes it slow, stalling, garbled, failing, out of order.
``official_store``  the same store behind grpcio's server, with its own maximum connection age.
``caller``     our own `Channel` to a querier; ``official`` is grpcio's, for the same questions.
``shake``      one TLS handshake by hand, with a session to resume or a ClientHello held back.
``notify_socket``  systemd's end of sd_notify(3).
``load``       asks a round of questions (unary and streaming) at a rate and judges every answer: a call
               failed if its status is not OK, or it carries a warning, or its series or chunk bytes differ
               from what the stores hold.
``Querier``    `counts()` (connections, descriptors, threads, resident bytes, by psutil), `metric(name)`,
               `stores()` (rows of ``/api/v1/stores``), `get(path)`, `log()`, `send_signal`.

Everything is on the loopback with free ports. Nothing sleeps to wait for an event: `World.until` polls the
querier's own status with a time limit. Processes end with their scope, however the test ends, and their
logs stay in ``tmp_path / "logs"``.
"""

from app.demo.board import EndpointRow
from app.demo.dataset import Dataset, Shape
from app.demo.driver import Tally
from app.demo.pki import Authority
from app.demo.realms import Front, Realm, write_endpoints
from app.demo.store_options import Faults
from tests.harness.handshakes import Shaken, client_context, shake
from tests.harness.load import caller, load, official, official_load
from tests.harness.notify_socket import NotifySocket, notify_socket
from tests.harness.official_store import official_store
from tests.harness.querier import Counts, Querier, querier
from tests.harness.stores import RunningStore, store
from tests.harness.world import World, world

__all__ = [
    "Authority",
    "Counts",
    "Dataset",
    "EndpointRow",
    "Faults",
    "Front",
    "NotifySocket",
    "Querier",
    "Realm",
    "RunningStore",
    "Shaken",
    "Shape",
    "Tally",
    "World",
    "caller",
    "client_context",
    "load",
    "notify_socket",
    "official",
    "official_load",
    "official_store",
    "querier",
    "shake",
    "store",
    "world",
    "write_endpoints",
]
