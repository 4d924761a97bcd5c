"""Diagnoses for people and for programs."""

from collections.abc import Sequence

import msgspec
from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from app.doctor.model import Diagnosis

_NARROW = 100
"""Columns of a terminal below which a table would be cut; then each endpoint gets a paragraph."""


def as_json(found: Sequence[Diagnosis]) -> bytes:
    """One object."""
    return msgspec.json.encode({"well": all(each.well for each in found), "endpoints": list(found)})


def show(found: Sequence[Diagnosis], console: Console) -> None:
    """The endpoints, then what to do about those that are not well."""
    console.print(_paragraphs(found) if console.width < _NARROW else _table(found))
    for each in found:
        if not each.well:
            console.print(Text(f"\n{each.group} {each.address}: {each.error}", style="red"), soft_wrap=True)
            console.print(Text(f"  -> {each.advice}"), soft_wrap=True)
    said: dict[str, list[str]] = {}
    for each in found:
        for warning in each.warnings:
            said.setdefault(warning, []).append(f"{each.group} {each.address}")
    for warning, endpoints in said.items():
        more = f" and {len(endpoints) - 3} more" if len(endpoints) > 3 else ""
        where = ", ".join(endpoints[:3])
        console.print(Text(f"\nwarning: {where}{more}: {warning}", style="yellow"), soft_wrap=True)
    failed = sum(not each.well for each in found)
    total = f"{len(found)} endpoint{'' if len(found) == 1 else 's'}"
    console.print(f"\n{total}, all well" if not failed else f"\n{total}, {failed} not well", highlight=False)


def _state(each: Diagnosis) -> Text:
    return Text("well", style="green") if each.well else Text(f"{each.failed_at} failed", style="red")


def _tcp(each: Diagnosis) -> str:
    return "" if each.tcp_milliseconds is None else f"{each.tcp_milliseconds:g} ms"


def _tls(each: Diagnosis) -> str:
    if each.handshake is not None:
        return f"{each.handshake.version}\n{each.handshake.cipher}"
    return "plaintext" if not each.wanted and each.well else ""


def _chain(each: Diagnosis) -> str:
    if each.handshake is None:
        return ""
    return "\n".join(
        f"{link.role} {link.subject} until {link.not_after[:16]}" for link in each.handshake.chain
    )


def _identity(each: Diagnosis) -> str:
    found = "\n".join(each.handshake.identity) if each.handshake else ""
    wanted = f"wanted: {each.wanted}" if each.wanted else ""
    return "\n".join(filter(None, (found, wanted)))


def _info(each: Diagnosis) -> str:
    if each.info is None:
        return ""
    sets = (", ".join(f"{name}={value}" for name, value in labels.items()) for labels in each.info.label_sets)
    shown = " ".join(f"{{{labels}}}" for labels in sets)
    return f"{each.info.component} {shown}\n{', '.join(each.info.apis)}\n{each.info.milliseconds:g} ms"


def _table(found: Sequence[Diagnosis]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_lines=True)
    for column in ("endpoint", "state", "TCP", "TLS", "chain", "identity", "Info"):
        table.add_column(column, overflow="fold")
    for each in found:
        resolved = [address for address in each.resolved if not each.address.startswith(address)]
        where = "\n".join((each.group, each.address, *resolved))
        table.add_row(where, _state(each), _tcp(each), _tls(each), _chain(each), _identity(each), _info(each))
    return table


def _paragraphs(found: Sequence[Diagnosis]) -> Group:
    parts: list[Text] = []
    for each in found:
        parts.append(Text.assemble(f"{each.group} {each.address}: ", _state(each)))
        for title, text in (
            ("resolved", ", ".join(each.resolved)),
            ("TCP", _tcp(each)),
            ("TLS", _tls(each)),
            ("chain", _chain(each)),
            ("identity", _identity(each)),
            ("Info", _info(each)),
        ):
            for position, line in enumerate(text.splitlines()):
                parts.append(Text(f"  {title if position == 0 else '':<9} {line}", overflow="fold"))
    return Group(*parts)
