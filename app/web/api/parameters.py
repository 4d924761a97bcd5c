"""What parameters mean: times, durations, switches, ranges. Pure.

Times are milliseconds since the epoch. Durations are nanoseconds while they are checked, as they are in Go:
whether a range has too many steps depends on it.
"""

import math
import re
from datetime import datetime, timedelta, timezone

import msgspec

from app.config.durations import parse_duration
from app.config.query_options import QueryOptions
from app.engine.promql.quoting import quoted
from app.web.api.errors import ApiError, bad_data
from app.web.api.form import Form

MIN_TIME = -9_223_309_901_257_974_000
MAX_TIME = 9_223_309_901_257_974_999
"""The bounds of time as Prometheus's API has them, within those of int64."""
MAX_STEPS = 11_000
NANOSECONDS = 1_000_000_000
MILLISECOND = 1_000_000
MAX_INT64 = 2**63 - 1

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2}:[0-9]{2})(?:[.,]([0-9]+))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017


def _number(text: str) -> float | None:
    """A finite number, or None."""
    if len(text) > 400 or not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def parse_time(text: str) -> int:
    """Milliseconds of unix seconds or of an RFC 3339 time.

    :raises ApiError: it is neither, or outside of what the API knows.
    """
    seconds = _number(text)
    if seconds is not None:
        fraction, whole = math.modf(seconds)
        thousandths = math.floor(abs(fraction) * 1000 + 0.5)
        time = int(whole) * 1000 + (thousandths if fraction >= 0 else -thousandths)
    else:
        time = _rfc3339(text)
    if not MIN_TIME <= time <= MAX_TIME:
        raise _not(text, "timestamp")
    return time


def _rfc3339(text: str) -> int:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise _not(text, "timestamp")
    date, clock, fraction, sign, hours, minutes = match.groups()
    try:
        time = datetime.fromisoformat(f"{date}T{clock}+00:00")
    except ValueError:
        raise _not(text, "timestamp") from None
    offset = 0
    if sign:
        if int(hours) > 23 or int(minutes) > 59:
            raise _not(text, "timestamp")
        offset = (int(hours) * 60 + int(minutes)) * (60_000 if sign == "+" else -60_000)
    milliseconds = int((fraction or "").ljust(3, "0")[:3])
    return (time - _EPOCH) // timedelta(milliseconds=1) + milliseconds - offset


def parse_nanoseconds(text: str) -> int:
    """A duration: seconds as a number, or as Prometheus writes it.

    :raises ApiError: it is neither, or does not fit into int64.
    """
    seconds = _number(text)
    if seconds is not None:
        if not -float(2**63) <= seconds * NANOSECONDS <= float(2**63):
            raise bad_data(f"cannot parse {quoted(text)} to a valid duration. It overflows int64")
        return int(seconds * NANOSECONDS)
    try:
        return round(parse_duration(text) * 1000) * MILLISECOND
    except ValueError:
        raise _not(text, "duration") from None


def _not(text: str, what: str) -> ApiError:
    return bad_data(f"cannot parse {quoted(text[:200])} to a valid {what}")


def time_of(form: Form, name: str, default: int) -> int:
    """A time that may be left out.

    :raises ApiError: naming the parameter.
    """
    text = form.get(name)
    if not text:
        return default
    try:
        return parse_time(text)
    except ApiError as error:
        raise bad_data(f"Invalid time value for '{name}': {error.text}") from None


def nanoseconds_of(form: Form, name: str, default: int) -> int:
    """A duration that may be left out.

    :raises ApiError: naming the parameter.
    """
    text = form.get(name)
    if not text:
        return default
    try:
        return parse_nanoseconds(text)
    except ApiError as error:
        raise bad_data(f"'{name}' parameter: {error.text}") from None


def switch_of(form: Form, name: str, default: bool) -> bool:
    """A truth value as Go reads them.

    :raises ApiError: naming the parameter.
    """
    text = form.get(name)
    if not text:
        return default
    if text not in _TRUE and text not in _FALSE:
        raise bad_data(f"'{name}' parameter: cannot parse {quoted(text[:200])} to a valid bool")
    return text in _TRUE


def limit_of(form: Form) -> int:
    """How many results at most; 0: all."""
    text = form.get("limit")
    if not text:
        return 0
    if not re.fullmatch(r"[+-]?[0-9]{1,30}", text) or abs(int(text)) > MAX_INT64:
        raise _not(text, "limit")
    if int(text) < 0:
        raise bad_data("limit must be non-negative")
    return int(text)


class Range(msgspec.Struct, frozen=True):
    """:param step: nanoseconds, a millisecond at least; 0: an instant."""

    start: int
    end: int
    step: int


def query_range(form: Form, options: QueryOptions) -> Range:
    """Start, end and step of a range query.

    :raises ApiError: one of them is missing or wrong, or there would be too many steps.
    """
    start, end = parse_time(form.get("start")), parse_time(form.get("end"))
    if end < start:
        raise bad_data("end timestamp must not be before start time")
    span = min((end - start) * MILLISECOND, MAX_INT64)
    step = nanoseconds_of(form, "step", _default_step(span, options))
    if step < MILLISECOND:
        raise bad_data(
            "zero or negative query resolution step widths are not accepted. Try a positive integer"
        )
    if span // step > MAX_STEPS:
        raise bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. "
            "Try decreasing the query resolution (?step=XX)"
        )
    return Range(start, end, step)


def _default_step(span: int, options: QueryOptions) -> int:
    """Whole seconds: 250 steps, or the least step where those would be shorter."""
    return max(span // NANOSECONDS // 250, int(options.default_step)) * NANOSECONDS


def metadata_range(form: Form, options: QueryOptions, now: int) -> tuple[int, int]:
    """Start and end in which labels and series are looked up.

    :param now: milliseconds since the epoch.
    """
    start, end = MIN_TIME, MAX_TIME
    if options.metadata_time_range:
        start, end = now - round(options.metadata_time_range * 1000), now
    start, end = time_of(form, "start", start), time_of(form, "end", end)
    if end < start:
        raise bad_data("end timestamp must not be before start time")
    return start, end


def resolution(form: Form, options: QueryOptions, automatic: int) -> int:
    """Milliseconds between samples of downsampled data that will do; 0: raw data only.

    :param automatic: nanoseconds, for ``auto``.
    """
    text = form.get("max_source_resolution")
    chosen = automatic if options.auto_downsampling or text == "auto" else 0
    if text != "auto":
        chosen = nanoseconds_of(form, "max_source_resolution", chosen)
    if chosen < 0:
        raise bad_data("negative 'max_source_resolution' is not accepted. Try a positive integer")
    return chosen // MILLISECOND


def lookback(form: Form, options: QueryOptions, max_resolution: int) -> int:
    """Milliseconds for which an instant selector sees a sample.

    :param max_resolution: milliseconds.
    """
    given = nanoseconds_of(form, "lookback_delta", 0) // MILLISECOND
    if given > 0:
        return given
    return options.lookback_for(max_resolution)


def timeout(form: Form, options: QueryOptions) -> float:
    """Seconds that a query may take."""
    text = form.get("timeout")
    asked = parse_nanoseconds(text) / NANOSECONDS if text else options.timeout
    return max(0.0, min(asked, options.timeout))
