"""histogram_quantile on classic buckets."""

import math
import re

import numpy as np
from numpy.typing import NDArray

from app.engine.fast.context import Context
from app.engine.fast.grid import Grid, Values
from app.engine.fast.notes import go_g
from app.engine.kernels.buckets import bucket_quantiles
from app.engine.model import Forced
from app.engine.promql.ast import Call, unwrapped
from app.engine.promql.quoting import quoted

_LE = "le"
_DECIMAL = re.compile(r"[+-]?(\d(_?\d)*)?(\.(\d(_?\d)*)?)?([eE][+-]?\d+)?", re.ASCII)
_INFINITIES = frozenset({"inf", "infinity"})


def bound(text: str) -> float | None:
    """The upper bound that a ``le`` names, as Go parses floats; None: none."""
    plain = text.lstrip("+-").lower() if text[:1] in "+-" and text[1:2] not in "+-" else text.lower()
    if plain in _INFINITIES:
        return -math.inf if text.startswith("-") else math.inf
    if plain == "nan":
        return math.nan if text[:1] not in "+-" else None
    if re.match(r"[+-]?0[xX]", text):
        try:
            return float.fromhex(text) if "p" in plain else None
        except (ValueError, OverflowError):
            return None
    if "_" in text or not _DECIMAL.fullmatch(text):
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isinf(value) else value


def check_quantiles(context: Context, call: Call, quantiles: Values) -> None:
    """Remark on those that are none."""
    wrong = ~((quantiles >= 0) & (quantiles <= 1))
    for value in dict.fromkeys(quantiles[wrong].tolist()):
        context.annotations.warn(
            f"quantile value should be between 0 and 1, got {go_g(value)}", unwrapped(call.args[0]).span
        )


def quantile(context: Context, call: Call, quantiles: Values, grid: Grid) -> Grid:
    """
    :param quantiles: (steps,) float64.
    """
    span = unwrapped(call.args[1]).span
    grid = grid.compact(context)
    limits, usable = _bounds(context, call, grid)
    if not usable.all():
        rows = np.flatnonzero(usable)
        grid, limits = grid.take(context, rows), limits[rows]
    labels = grid.labels.without((_LE,))
    groups, count = labels.groups()
    order = np.lexsort((limits, groups))
    starts = np.searchsorted(groups[order], np.arange(count + 1)).astype(np.int64)
    out, filled = context.values(count, grid.steps.count), context.no_flags(count, grid.steps.count)
    forced = np.tile([0.0, np.inf, -np.inf, 0.0], (grid.steps.count, 1))
    bucket_quantiles(
        quantiles,
        order,
        starts,
        limits,
        grid.values,
        grid.present.view(np.uint8),
        out,
        filled.view(np.uint8),
        forced,
        context.cancel,
    )
    context.check()
    for step in np.flatnonzero(forced[:, 0]).tolist():
        time = int(grid.steps.times[step])
        times, low, high, most = forced[step].tolist()
        context.annotations.forced_monotonic("", span, Forced(time, time, low, high, most, int(times)))
    first = np.full(count, len(grid), np.intp)
    np.minimum.at(first, groups, np.arange(len(grid)))
    return Grid(labels.take(first), out, filled, grid.steps).nameless(context)


def _bounds(context: Context, call: Call, grid: Grid) -> tuple[Values, NDArray[np.bool_]]:
    """Of each row, and whether it has one."""
    ids = grid.labels.column(_LE)
    limits, usable = np.zeros(len(grid)), np.ones(len(grid), np.bool_)
    for number in np.unique(ids).tolist():
        text = context.texts.text(number)
        found = bound(text)
        if found is None:
            context.annotations.warn(
                f"bucket label {quoted(_LE)} is missing or has a malformed value of {quoted(text)}",
                unwrapped(call.args[1]).span,
            )
            usable[ids == number] = False
        else:
            limits[ids == number] = found
    return limits, usable
