"""Classic histograms as native ones with bounds of their own, as `load_with_nhcb` makes them.

The conversion is Prometheus's (`util/convertnhcb` there). Staleness markers are passed over: it refuses them.
"""

import math
from collections.abc import Mapping

import msgspec

from app.engine.histogram.model import CUSTOM_SCHEMA, FloatHistogram, populated
from app.engine.model import METRIC_NAME, Labels, is_stale, labels_of

Value = float | FloatHistogram
_BOUND = "le"


class _Parts(msgspec.Struct):
    """Mutable: what the series of one classic histogram say at one time.

    :param buckets: cumulative counts by upper bound.
    """

    buckets: dict[float, float] = {}
    count: float | None = None
    sum: float = 0.0


def custom_histograms(loaded: Mapping[Labels, Mapping[int, Value]]) -> dict[Labels, dict[int, Value]]:
    """By labels and time, of all series named `..._bucket`, `..._count` and `..._sum`.

    :raises ValueError: counts that are no classic histogram's.
    """
    parts: dict[tuple[Labels, int], _Parts] = {}
    for labels, values in loaded.items():
        given = dict(labels)
        base, separator, suffix = given.get(METRIC_NAME, "").rpartition("_")
        if not separator or suffix not in ("bucket", "count", "sum"):
            continue
        bound = _bound(given, labels) if suffix == "bucket" else None
        if suffix == "bucket" and bound is None:
            continue
        given.pop(_BOUND, None)
        key = labels_of({**given, METRIC_NAME: base})
        for time, value in values.items():
            if isinstance(value, FloatHistogram) or is_stale(value):
                continue
            part = parts.setdefault((key, time), _Parts())
            if bound is not None:
                part.buckets.setdefault(bound, value)
            elif suffix == "count":
                part.count = value
            else:
                part.sum = value
    found: dict[Labels, dict[int, Value]] = {}
    for (labels, time), part in sorted(parts.items(), key=lambda item: item[0]):
        try:
            found.setdefault(labels, {})[time] = _converted(part)
        except ValueError as error:
            raise ValueError(f"{labels} at {time}: {error}") from None
    return found


def _bound(given: Mapping[str, str], labels: Labels) -> float | None:
    """None where the label is no number: such a series is left alone."""
    if _BOUND not in given:
        raise ValueError(f"{labels} has no label {_BOUND}")
    try:
        bound = float(given[_BOUND])
    except ValueError:
        return None
    return None if math.isnan(bound) else bound


def _converted(part: _Parts) -> FloatHistogram:
    cumulative = dict(sorted(part.buckets.items()))
    last = next(reversed(cumulative.values()), 0.0)
    count = last if part.count is None else part.count
    cumulative.setdefault(math.inf, count)
    own: dict[int, float] = {}
    previous = 0.0
    for place, value in enumerate(cumulative.values()):
        if value < previous:
            raise ValueError(f"buckets are cumulative, and {value} follows {previous}")
        own[place] = value - previous
        previous = value
    if previous != count:
        raise ValueError(f"the last bucket has {previous}, the count is {count}")
    return FloatHistogram(
        schema=CUSTOM_SCHEMA,
        count=count,
        sum=part.sum,
        positive=populated(own),
        custom_values=tuple(cumulative)[:-1],
    )
