"""What options are made of: their types, their groups in the help, and faults that are put off."""

import sys
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

import rich_click as click

from app.config.durations import format_duration, parse_duration
from app.errors import ConfigError, Problem

EXIT_CONFIG = 2
EXIT_CODES = "Exit codes: 0 stopped as asked, 1 failed, 2 the configuration is at fault."

HELP = {"help_option_names": ["-h", "--help", "--help-long", "--help-man"]}
"""Context settings of the servers: as Thanos's commands are asked for help."""

PUT_OFF = "crossrealm.problems"
"""Where a command finds what was wrong with its values, to report it together with all the rest."""

SERVERS = ("query", "sidecar")
"""Commands that report all faults at once."""


def put_off(
    kind: click.ParamType[Any], error: ValueError, param: click.Parameter | None, ctx: click.Context | None
) -> None:
    if ctx is None or param is None or ctx.info_name not in SERVERS:
        kind.fail(str(error), param, ctx)
    ctx.meta.setdefault(PUT_OFF, []).append(Problem(param.opts[0], str(error)))


class Duration(click.ParamType[float]):
    """A duration as Prometheus writes it; seconds as a float."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float | int):
            return float(value)
        try:
            return parse_duration(value)
        except ValueError as error:
            put_off(self, error, param, ctx)
            return 0


class Count(click.ParamType[int]):
    """A whole number; what it may be is checked with the other settings."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return int(value)
        except ValueError:
            put_off(self, ValueError(f"{value!r} is not a whole number"), param, ctx)
            return 1


class Choice(click.Choice[str]):
    """One of some words."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value in self.choices:
            return str(value)
        error = ValueError(f"{value!r} is not one of {', '.join(self.choices)}")
        put_off(self, error, param, ctx)
        return self.choices[0]


class Size(click.ParamType[int]):
    """A size in bytes, with an optional unit of 1024: ``64MiB``, ``4MB``.

    :param unlimited: whether 0 may be given, and more than 2GiB.
    """

    name = "bytes"
    _UNITS: ClassVar = {
        "KIB": 1 << 10,
        "KB": 1 << 10,
        "MIB": 1 << 20,
        "MB": 1 << 20,
        "GIB": 1 << 30,
        "GB": 1 << 30,
        "B": 1,
    }

    def __init__(self, *, unlimited: bool = False) -> None:
        self._least, self._most = (0, 2**62) if unlimited else (1, 2**31 - 1)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text, factor = str(value).upper(), 1
        for unit, size in self._UNITS.items():
            if text.endswith(unit):
                text, factor = text.removesuffix(unit), size
                break
        if not text.isdigit() or len(text) > 20 or not self._least <= int(text) * factor <= self._most:
            limits = "" if self._least == 0 else " between 1 and 2GiB"
            error = ValueError(f"{value!r} is not a size{limits}; write for example 4MiB")
            put_off(self, error, param, ctx)
            return 0
        return int(text) * factor


DURATION, COUNT, SIZE, MEMORY = Duration(), Count(), Size(), Size(unlimited=True)

click.rich_click.TEXT_MARKUP = "rich"
click.rich_click.MAX_WIDTH = 110
click.rich_click.OPTIONS_TABLE_COLUMN_TYPES = ["required", "opt_short", "opt_long", "help"]
click.rich_click.OPTIONS_TABLE_HELP_SECTIONS = [
    "help",
    "metavar",
    "deprecated",
    "envvar",
    "default",
    "required",
]

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
OPTION_GROUPS = click.rich_click.OPTION_GROUPS


def options(command: str, title: str, *given: Decorator) -> Decorator:
    """A titled group of options in the help of `command`.

    :param command: as the help names it: ``crossrealm query``.
    """
    names: list[str] = []
    OPTION_GROUPS.setdefault(command, []).append({"name": title, "options": names})

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for each in reversed(given):
            before = len(getattr(function, "__click_params__", []))
            function = each(function)
            added = function.__click_params__[before:]  # type: ignore[attr-defined]
            names[:0] = [parameter.opts[0] for parameter in added]
        return function

    return decorate


def option(*declarations: str, **settings: Any) -> Decorator:
    settings.setdefault("show_default", "default" in settings and settings["default"] not in ("", None, ()))
    return click.option(*declarations, **settings)


def many(*declarations: str, **settings: Any) -> Decorator:
    return option(*declarations, multiple=True, **settings)


def given_flags(ctx: click.Context) -> list[tuple[str, str]]:
    """Names, without dashes, and texts of all flags that are shown, as they were given or by default."""
    return sorted(
        (each.opts[0].lstrip("-"), _text(each, ctx.params[each.name]))
        for each in ctx.command.params
        if isinstance(each, click.Option) and each.name in ctx.params and not each.hidden
    )


def _text(flag: click.Option, value: Any) -> str:
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(flag.type, Duration) and value is not None:
        return format_duration(value)
    return "" if value is None else str(value)


def fail(error: ConfigError) -> NoReturn:
    """Print every problem and exit with the code for configuration."""
    for problem in error.problems:
        click.echo(f"error: {problem}", err=True)
    sys.exit(EXIT_CONFIG)
