"""What is shown while the demo runs: a live table on a terminal, lines elsewhere."""

import time
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.demo.board import EndpointRow, short_serial
from app.demo.driver import Tally

_SHOWN_EVENTS = 8

_IDENTITY = "peer identity"
_LEFT = ("group", "endpoint", "TLS", _IDENTITY)
_RIGHT = ("serial", "expires", "age", "handshakes", "calls", "failed")


def relative(seconds: float | None) -> str:
    """``9m58s``; "" for None, ``expired`` when it is past."""
    if seconds is None:
        return ""
    if seconds < 0:
        return "expired"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def _cells(row: EndpointRow, now: float) -> list[str | Text]:
    age = None if row.connected_at is None else max(0.0, now - row.connected_at)
    lifetime = None if row.not_after is None else row.not_after - now
    connected = relative(age) or Text("down", style="red")
    return [
        row.group,
        row.address,
        row.version.removeprefix("TLSv") or Text("none" if row.connected_at else "", style="dim"),
        row.identity,
        short_serial(row.serial),
        relative(lifetime),
        connected,
        str(row.handshakes),
        str(row.calls),
        Text(str(row.failures), style="red" if row.failures else ""),
    ]


def progress(tally: Tally, seconds: float, rotations: int) -> str:
    rate = tally.calls / seconds if seconds else 0.0
    return f"{tally.calls} calls ({rate:.0f} a second), {tally.failed} failed, {rotations} rotations"


def picture(
    rows: Sequence[EndpointRow], events: Sequence[tuple[float, str]], footer: str, *, failed: bool
) -> RenderableType:
    """One state of the live view.

    :param events: (seconds since the epoch, what happened), newest last.
    """
    now = time.time()
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")
    table.title = "crossrealm: one querier, three realms"
    for name in _LEFT:
        # In a narrow terminal the identity is folded, and everything else stays readable.
        table.add_column(name, no_wrap=name != _IDENTITY, overflow="fold")
    for name in _RIGHT:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row, now))
    told = [
        Text(f"{time.strftime('%H:%M:%S', time.localtime(at))}  {event}")
        for at, event in list(events)[-_SHOWN_EVENTS:]
    ]
    return Group(table, *told, Text(footer, style="bold red" if failed else "bold green"))
