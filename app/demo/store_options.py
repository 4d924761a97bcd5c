"""What a synthetic store can be told, as Structs and as flags."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from app.config.durations import format_duration, parse_duration
from app.config.model import TlsVersion
from app.demo.dataset import Shape
from app.errors import Code


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """How a store misbehaves, for those that test what then happens.

    :param delay: seconds before the first message of an answer (Info answers at once).
    :param info_delay: seconds before the answer of Info.
    :param pause: seconds before each message.
    :param stall_after: messages after which no more come, and no end either; None: never.
    :param garbage: bytes that are no message come first.
    :param fail: name of the status that calls end with; "": OK.
    :param one_per_message: `response_batch_size` is ignored.
    :param keep_replica_labels: `without_replica_labels` is not supported.
    :param reversed_order: series come in the wrong order.
    """

    delay: float = 0.0
    info_delay: float = 0.0
    pause: float = 0.0
    stall_after: int | None = None
    garbage: bool = False
    fail: str = ""
    one_per_message: bool = False
    keep_replica_labels: bool = False
    reversed_order: bool = False

    @property
    def paces_messages(self) -> bool:
        return bool(self.pause) or self.stall_after is not None


class StoreOptions(msgspec.Struct, frozen=True, kw_only=True):
    """A store process.

    :param address: ``host:port``; port 0 is any free one.
    :param count: addresses to serve on, each a store of its own with its own replica label.
    :param max_connection_age, drain_window, grace: seconds; an age of 0 is without limit.
    """

    realm: str = "local"
    replica: str = "a"
    address: str = "127.0.0.1:0"
    count: int = 1
    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    min_version: TlsVersion = "1.3"
    max_connection_age: float = 0.0
    drain_window: float = 60.0
    grace: float = 5.0
    shape: Shape = Shape()
    faults: Faults = Faults()


_Kind = Callable[[str], Any]
_SERVING: dict[str, _Kind] = {
    "realm": str,
    "replica": str,
    "address": str,
    "count": int,
    "cert": str,
    "key": str,
    "client-ca": str,
    "min-version": str,
    "max-connection-age": parse_duration,
    "drain-window": parse_duration,
    "grace": parse_duration,
}
_SHAPE: dict[str, _Kind] = {"series": int, "start": int, "chunk-bytes": int}
_PACING: dict[str, _Kind] = {
    "delay": parse_duration,
    "info-delay": parse_duration,
    "pause": parse_duration,
    "stall-after": int,
}
_SWITCHES = ("garbage", "one-per-message", "keep-replica-labels", "reversed-order")
_RENAMED = {"cert": "cert_file", "key": "key_file", "client_ca": "client_ca_file"}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app.demo.store", argument_default=argparse.SUPPRESS, allow_abbrev=False
    )
    for name, kind in {**_SERVING, **_SHAPE, **_PACING}.items():
        parser.add_argument(f"--{name}", type=kind)
    parser.add_argument("--fail", choices=[code.name for code in Code])
    for name in _SWITCHES:
        parser.add_argument(f"--{name}", action="store_true")
    return parser


def _taken(given: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {name: given[name] for name in kind.__struct_fields__ if name in given}


def parse(arguments: Sequence[str]) -> StoreOptions:
    """:raises SystemExit: the arguments are wrong; argparse has said how."""
    given = {_RENAMED.get(name, name): value for name, value in vars(_parser().parse_args(arguments)).items()}
    shape = Shape(**_taken(given, Shape))
    faults = Faults(**_taken(given, Faults))
    return StoreOptions(**_taken(given, StoreOptions), shape=shape, faults=faults)


def arguments(options: StoreOptions) -> list[str]:
    """The flags that `parse` makes `options` of."""
    flags: list[str] = []
    renamed = {new: old for old, new in _RENAMED.items()}
    defaults = {StoreOptions: StoreOptions(), Shape: Shape(), Faults: Faults()}
    for part in (options, options.shape, options.faults):
        for name in part.__struct_fields__:
            value = getattr(part, name)
            if isinstance(value, msgspec.Struct) or value == getattr(defaults[type(part)], name):
                continue
            flag = "--" + renamed.get(name, name).replace("_", "-")
            if value is True:
                flags.append(flag)
            elif isinstance(value, float):
                flags.append(f"{flag}={format_duration(value)}")
            else:
                flags.append(f"{flag}={value}")
    return flags
