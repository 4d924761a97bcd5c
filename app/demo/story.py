"""What happens to the certificates while calls go on.

Each rotation is written to disk and then waited for: it counts when the querier shows connections that use
it. Rule 1 makes the order safe: a handshake that begins after new files are on disk uses them.
"""

import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio

from app.demo.board import Board, short_serial
from app.demo.pki import Authority
from app.demo.realms import Front, Realm
from app.rpc.model import ChannelStatus

LEAF_INTERVAL = 3.0
AUTHORITY_INTERVAL = 10.0
LISTENER_INTERVAL = 5.0
# A rotation that nobody has picked up by then has not happened.
PICKED_UP_LIMIT = 25.0
# A handshake that began just before the removal may end just after it, with the old bundle.
_HANDSHAKE = 0.5
_KEPT_EVENTS = 200

LEAF, AUTHORITY, LISTENER = "leaf", "authority", "listener"


class Chronicle:
    """Mutable: what happened, with the time, newest last; `tell` alone adds.

    :param on_event: called with each line.
    """

    def __init__(self, on_event: Callable[[str], None]) -> None:
        self._on_event = on_event
        self.events: deque[tuple[float, str]] = deque(maxlen=_KEPT_EVENTS)

    def tell(self, event: str) -> None:
        self.events.append((time.time(), event))
        self._on_event(event)


class Caller(Protocol):
    """What the story needs of a channel."""

    def status(self) -> ChannelStatus:
        """Its connection now."""


class Story:
    """Mutable: how many rotations of each kind were picked up, and which were not; the tasks of `run` alone
    change that.

    :param leaves: the realm whose leaves are renewed again and again.
    :param moving: the realm whose authority is replaced.
    :param caller: our own channel to the querier, which sees its server certificate.
    """

    def __init__(
        self,
        *,
        leaves: Realm,
        moving: Realm,
        front: Front,
        board: Board,
        caller: Caller,
        chronicle: Chronicle,
    ) -> None:
        self._leaves = leaves
        self._moving = moving
        self._front = front
        self._board = board
        self._caller = caller
        self._chronicle = chronicle
        self._closing = anyio.Event()
        self._authorities = 1
        self.rotations: Counter[str] = Counter({LEAF: 0, AUTHORITY: 0, LISTENER: 0})
        self.missed: list[str] = []

    def close(self) -> None:
        """Begin no further rotation; `run` returns when those that have begun are over."""
        self._closing.set()

    async def run(self) -> None:
        """Every kind at least once, then again until `close`."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._again, self._rotate_leaves, LEAF_INTERVAL)
            tasks.start_soon(self._again, self._rotate_authority, AUTHORITY_INTERVAL)
            tasks.start_soon(self._again, self._rotate_listener, LISTENER_INTERVAL)
            tasks.start_soon(self._tell_of_age)

    async def _again(self, rotation: Callable[[], Awaitable[None]], interval: float) -> None:
        while True:
            started = anyio.current_time()
            await rotation()
            with anyio.move_on_after(max(0.0, started + interval - anyio.current_time())):
                await self._closing.wait()
            if self._closing.is_set():
                return

    async def _rotate_leaves(self) -> None:
        """The querier's client leaf and both stores' server leaves, new keys included."""
        realm = self._leaves
        querier = realm.renew_querier()
        serials = sorted(realm.renew_store(replica).serial for replica in realm.stores)
        shown = ", ".join(short_serial(serial) for serial in serials)
        self._chronicle.tell(
            f"{realm.name}: new leaves: querier {short_serial(querier.serial)}, stores {shown}"
        )
        await self._count(LEAF, f"new leaves of {realm.name}", lambda: self._in_use(realm))

    async def _rotate_authority(self) -> None:
        """Old and new trusted together, then new leaves, then only the new one trusted."""
        realm = self._moving
        self._authorities += 1
        new = Authority(f"{realm.name} CA {self._authorities}")
        # All that is trusted now: leaves of an earlier one may be in use where a rotation was not picked up.
        old = realm.store_trust.authorities
        names = " and ".join(authority.name for authority in old)
        realm.trust([*old, new])
        self._chronicle.tell(f"{realm.name}: both sides trust {names} and {new.name}")
        realm.authority = new
        realm.renew_querier()
        for replica in realm.stores:
            realm.renew_store(replica)
        self._chronicle.tell(f"{realm.name}: leaves of the querier and both stores reissued by {new.name}")
        # A leaf of the old authority that is still in use would be cut off with it.
        if not await self._picked_up(f"leaves of {new.name}", lambda: self._in_use(realm)):
            return
        removed_at = time.time()
        realm.trust([new])
        self._chronicle.tell(f"{realm.name}: {names} removed, only {new.name} is trusted")
        await self._count(
            AUTHORITY,
            f"handshakes with {new.name} alone",
            lambda: self._in_use(realm, removed_at + _HANDSHAKE),
        )

    async def _rotate_listener(self) -> None:
        serial = self._front.renew_listener().serial
        self._chronicle.tell(f"querier: new server certificate {short_serial(serial)}")
        await self._count(LISTENER, "the querier's new server certificate", lambda: self._shown() == serial)

    def _shown(self) -> str:
        tls = self._caller.status().tls
        return tls.certificate.serial if tls is not None and tls.certificate is not None else ""

    def _in_use(self, realm: Realm, since: float = 0.0) -> bool:
        return realm.in_use(self._board.rows, since)

    async def _count(self, kind: str, what: str, holds: Callable[[], bool]) -> None:
        if await self._picked_up(what, holds):
            self.rotations[kind] += 1

    async def _picked_up(self, what: str, holds: Callable[[], bool]) -> bool:
        started = anyio.current_time()
        if await self._board.until(holds, PICKED_UP_LIMIT):
            self._chronicle.tell(f"in use after {anyio.current_time() - started:.1f} s: {what}")
            return True
        self.missed.append(what)
        self._chronicle.tell(f"NOT in use after {PICKED_UP_LIMIT:.0f} s: {what}")
        return False

    async def _tell_of_age(self) -> None:
        """Connections that end by age, told together: there are several a second."""
        before = self._handshakes()
        while not self._closing.is_set():
            with anyio.move_on_after(LISTENER_INTERVAL):
                await self._closing.wait()
            now = self._handshakes()
            if now > before:
                self._chronicle.tell(f"{now - before} connections replaced by age or renewal")
            before = now

    def _handshakes(self) -> int:
        return sum(row.handshakes for row in self._board.rows) + self._caller.status().handshakes
