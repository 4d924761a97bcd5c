"""What the querier says about its endpoints: its ``/api/v1/stores``, followed."""

import time
from collections.abc import Callable
from datetime import datetime

import anyio
import msgspec

from app.demo.probe import http_get

POLL_INTERVAL = 0.5
_SHORT_SERIAL = 8


def short_serial(serial: str) -> str:
    """Enough of a serial number to tell two apart."""
    return serial[:_SHORT_SERIAL]


class _Certificate(msgspec.Struct, frozen=True):
    serial: str = ""


class _Tls(msgspec.Struct, frozen=True, rename="camel"):
    """`version` is "" while there is no connection."""

    group: str = ""
    version: str = ""
    serial: str = ""
    sans: tuple[str, ...] = ()
    not_after: str | None = None
    client: _Certificate | None = None


class _Connection(msgspec.Struct, frozen=True, rename="camel"):
    age_seconds: float | None = None
    handshakes: int = 0
    calls: int = 0
    failures: int = 0


class _Store(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    last_error: str | None = None
    group: str = ""
    tls: _Tls | None = None
    connection: _Connection | None = None


class _Answer(msgspec.Struct, frozen=True):
    data: dict[str, tuple[_Store, ...]]


class EndpointRow(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint as the querier last described it.

    :param version: ``TLSv1.3``; "" for plaintext or while there is no connection.
    :param serial, client_serial: of the endpoint's leaf and of the querier's own on the connection; "" where
        there is none.
    :param not_after, connected_at: seconds since the epoch; None: unknown, no connection.
    """

    address: str
    group: str
    version: str
    identity: str
    serial: str
    client_serial: str
    not_after: float | None
    connected_at: float | None
    handshakes: int
    calls: int
    failures: int
    last_error: str


def _row(store: _Store, asked_at: float) -> EndpointRow:
    tls, connection = store.tls or _Tls(), store.connection or _Connection()
    uris = [san.removeprefix("URI:") for san in tls.sans if san.startswith("URI:")]
    return EndpointRow(
        address=store.name,
        group=store.group or tls.group,
        version=tls.version,
        identity=(uris or list(tls.sans) or [""])[0],
        serial=tls.serial,
        client_serial=tls.client.serial if tls.client is not None else "",
        not_after=datetime.fromisoformat(tls.not_after).timestamp() if tls.not_after else None,
        # Rather too early than too late: what counts is whether it was made after something.
        connected_at=None if connection.age_seconds is None else asked_at - connection.age_seconds,
        handshakes=connection.handshakes,
        calls=connection.calls,
        failures=connection.failures,
        last_error=store.last_error or "",
    )


def rows(answer: bytes, asked_at: float) -> list[EndpointRow]:
    """The endpoints in `answer`, the body of ``/api/v1/stores``, by group and address.

    :param asked_at: seconds since the epoch at which the request was sent.
    :raises msgspec.MsgspecError: it is something else.
    """
    decoded = msgspec.json.decode(answer, type=_Answer)
    found = [_row(store, asked_at) for stores in decoded.data.values() for store in stores]
    return sorted(found, key=lambda row: (row.group, row.address))


class Board:
    """Mutable: the rows and when they were asked for; `run` alone changes them.

    :param url: of the querier's HTTP listener, without a slash at the end.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._news = anyio.Event()
        self.rows: list[EndpointRow] = []

    async def run(self) -> None:
        """Follow until cancelled. While the querier does not answer the rows stay as they are."""
        while True:
            await self.refresh()
            await anyio.sleep(POLL_INTERVAL)

    async def refresh(self) -> None:
        asked_at = time.time()
        status, body = await http_get(f"{self._url}/api/v1/stores")
        if status == 200:
            self.rows = rows(body, asked_at)
            self.news()

    def news(self) -> None:
        """Wake those who wait for other rows."""
        self._news.set()
        self._news = anyio.Event()

    def group(self, name: str) -> list[EndpointRow]:
        return [row for row in self.rows if row.group == name]

    async def until(self, holds: Callable[[], bool], limit: float) -> bool:
        """Wait until `holds` after some refresh; False when it does not within `limit` seconds."""
        with anyio.move_on_after(limit):
            while not holds():
                await self._news.wait()
            return True
        return False
