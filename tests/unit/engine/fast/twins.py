"""The kernels again in plain Python: a value at a time, and with nothing clever."""

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise

import numpy as np

from app.engine.kernels import aggregate, over_time, rates, statistics

Window = Sequence[tuple[int, float]]

# -- numbers


def kahan(values: Sequence[float], start: float = 0.0) -> tuple[float, float]:
    """Sum and compensation (Neumaier); an infinite sum has none."""
    total, lost = start, 0.0
    for value in values:
        new = total + value
        if math.isinf(new):
            lost = 0.0
        elif abs(total) >= abs(value):
            lost += (total - new) + value
        else:
            lost += (value - new) + total
        total = new
    return total, lost


def summed(values: Sequence[float]) -> float:
    total, lost = kahan(values)
    return total if math.isinf(total) else total + lost


def mean(values: Sequence[float]) -> float:
    """The sum divided; a moving mean from where the sum would overflow."""
    total, lost, moving = values[0], 0.0, False
    for seen, value in enumerate(values[1:], 2):
        if not moving:
            new, kept = _one_more(value, total, lost)
            if not math.isinf(new):
                total, lost = new, kept
                continue
            moving = True
            total, lost = total / (seen - 1), lost / (seen - 1)
        share = (seen - 1) / seen
        total, lost = _one_more(value / seen, share * total, share * lost)
    return total + lost if moving else total / len(values) + lost / len(values)


def _one_more(value: float, total: float, lost: float) -> tuple[float, float]:
    new = total + value
    if math.isinf(new):
        return new, 0.0
    if abs(total) >= abs(value):
        return new, lost + ((total - new) + value)
    return new, lost + ((value - new) + total)


def quantile(rank: float, values: Sequence[float]) -> float:
    if not values or math.isnan(rank):
        return math.nan
    if rank < 0 or rank > 1:
        return math.copysign(math.inf, rank)
    ordered = sorted(values, key=lambda value: (not math.isnan(value), value if value == value else 0))
    place = rank * (len(ordered) - 1)
    lower = max(0, math.floor(place))
    upper = min(len(ordered) - 1, lower + 1)
    weight = place - math.floor(place)
    return ordered[lower] * (1 - weight) + ordered[upper] * weight


def go_float(value: float) -> str:
    """As Prometheus writes numbers in JSON, from the digits that `repr` finds."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign = "-" if math.copysign(1, value) < 0 else ""
    if value == 0:
        return sign + "0"
    number = Decimal(repr(abs(value)))
    if 1e-6 <= abs(value) < 1e21:
        text = f"{number:f}"
        return sign + (text.rstrip("0").rstrip(".") if "." in text else text)
    digits, exponent = number.normalize().as_tuple().digits, number.adjusted()
    rest = "".join(map(str, digits[1:]))
    return f"{sign}{digits[0]}{'.' + rest if rest else ''}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def root(value: float) -> float:
    """Rounding makes variances of huge values negative."""
    return math.sqrt(value) if value >= 0 else math.nan


# -- windows


def extrapolated(function: int, window: Window, low: int, high: int) -> float | None:
    if len(window) < 2:
        return None
    (first_time, first), (last_time, last) = window[0], window[-1]
    total = last - first
    if function != rates.DELTA:
        for (_, before), (_, now) in pairwise(window):
            if now < before:
                total += before
    sampled = (last_time - first_time) / 1000
    average = sampled / (len(window) - 1)
    to_start, to_end = (first_time - low) / 1000, (high - last_time) / 1000
    if to_start >= average * 1.1:
        to_start = average / 2
    if function != rates.DELTA and total > 0 and first >= 0:
        to_start = min(to_start, sampled * (first / total))
    if to_end >= average * 1.1:
        to_end = average / 2
    factor = (sampled + to_start + to_end) / sampled
    return total * (factor / ((high - low) / 1000) if function == rates.RATE else factor)


def instant_rate(function: int, window: Window) -> float | None:
    if len(window) < 2:
        return None
    (before_time, before), (time, now) = window[-2:]
    change = now if function == rates.IRATE and now < before else now - before
    return change / ((time - before_time) / 1000) if function == rates.IRATE else change


def variance(values: Sequence[float]) -> float:
    average, average_lost, squares, squares_lost = 0.0, 0.0, 0.0, 0.0
    for count, value in enumerate(values, 1):
        delta = value - (average + average_lost)
        average, average_lost = _one_more(delta / count, average, average_lost)
        squares, squares_lost = _one_more(delta * (value - (average + average_lost)), squares, squares_lost)
    return (squares + squares_lost) / len(values)


def regression(window: Window, origin: int) -> tuple[float, float]:
    values = [value for _, value in window]
    if all(value == values[0] for value in values[1:]):
        return (math.nan, math.nan) if math.isinf(values[0]) else (0.0, values[0])
    xs = [(time - origin) / 1e3 for time, _ in window]
    products = [x * y for x, y in zip(xs, values, strict=True)]
    sums = [sum(kahan(each)) for each in (xs, values, products, [x * x for x in xs])]
    count = float(len(window))
    with np.errstate(all="ignore"):
        covariance = np.float64(sums[2] - sums[0] * sums[1] / count)
        slope = float(covariance / (sums[3] - sums[0] * sums[0] / count))
    return slope, sums[1] / count - slope * sums[0] / count


def _extreme(values: Sequence[float], better: Callable[[float, float], bool]) -> float:
    best = values[0]
    for value in values:
        if better(value, best) or math.isnan(best):
            best = value
    return best


def _events(function: int, values: Sequence[float]) -> float:
    pairs = list(pairwise(values))
    if function == over_time.RESETS:
        return float(sum(now < before for before, now in pairs))
    return float(sum(now != before and not (now != now and before != before) for before, now in pairs))


def mad(values: Sequence[float]) -> float:
    if any(map(math.isnan, values)):
        return math.nan
    middle = quantile(0.5, values)
    return quantile(0.5, [abs(value - middle) for value in values])


def of_window(
    function: int, window: Window, low: int, high: int, moment: int, parameter: float
) -> float | None:
    """Any function of a window of samples, without staleness markers."""
    if function <= rates.DELTA:
        return extrapolated(function, window, low, high)
    if function <= rates.IDELTA:
        return instant_rate(function, window)
    values = [value for _, value in window]
    if not values or (function in (statistics.DERIVATIVE, statistics.PREDICTION) and len(values) < 2):
        return None
    simple: dict[int, Callable[[], float]] = {
        over_time.COUNT: lambda: float(len(values)),
        over_time.PRESENT: lambda: 1.0,
        over_time.FIRST: lambda: values[0],
        over_time.LAST: lambda: values[-1],
        over_time.FIRST_TIME: lambda: window[0][0] / 1000,
        over_time.LAST_TIME: lambda: window[-1][0] / 1000,
        over_time.CHANGES: lambda: _events(function, values),
        over_time.RESETS: lambda: _events(function, values),
        over_time.SUM: lambda: summed(values),
        over_time.AVERAGE: lambda: mean(values),
        over_time.MIN: lambda: _extreme(values, lambda now, best: now < best),
        over_time.MAX: lambda: _extreme(values, lambda now, best: now > best),
        statistics.DEVIATION: lambda: root(variance(values)),
        statistics.VARIANCE: lambda: variance(values),
        statistics.QUANTILE: lambda: quantile(parameter, values),
        statistics.DERIVATIVE: lambda: regression(window, window[0][0])[0],
        statistics.PREDICTION: lambda: _predicted(window, moment, parameter),
        statistics.ABSOLUTE_DEVIATION: lambda: mad(values),
    }
    return simple[function]()


def _predicted(window: Window, moment: int, ahead: float) -> float:
    slope, intercept = regression(window, moment)
    return slope * ahead + intercept


# -- groups


def aggregated(operator: int, values: Sequence[float]) -> float:
    """Of the values of a group at one step; there is at least one."""
    if operator == aggregate.SUM:
        return sum(kahan(values[1:], values[0]))
    if operator == aggregate.AVERAGE:
        return mean(values)
    if operator in (aggregate.MIN, aggregate.MAX):
        least = operator == aggregate.MIN
        return _extreme(values, (lambda now, best: now < best) if least else (lambda now, best: now > best))
    if operator == aggregate.COUNT:
        return float(len(values))
    if operator == aggregate.GROUP:
        return 1.0
    total, average = (0.0 if math.isfinite(values[0]) else math.nan), values[0]
    for count, value in enumerate(values[1:], 2):
        delta = value - average
        average += delta / count
        total += delta * (value - average)
    spread = total / len(values)
    return root(spread) if operator == aggregate.DEVIATION else spread


def chosen(values: Sequence[float], most: int, down: bool) -> list[int]:
    """Positions that topk keeps, best first, by Go's container/heap."""
    heap: list[int] = []

    def less(left: int, right: int) -> bool:
        a, b = values[heap[left]], values[heap[right]]
        return math.isnan(a) or (a > b if down else a < b)

    def swap(left: int, right: int) -> None:
        heap[left], heap[right] = heap[right], heap[left]

    def up(at: int) -> None:
        while at and less(at, (at - 1) // 2):
            swap(at, (at - 1) // 2)
            at = (at - 1) // 2

    def sink(at: int) -> None:
        while (child := 2 * at + 1) < len(heap):
            if child + 1 < len(heap) and less(child + 1, child):
                child += 1
            if not less(child, at):
                break
            swap(at, child)
            at = child

    for place, value in enumerate(values):
        if len(heap) < most:
            heap.append(place)
            up(len(heap) - 1)
        elif heap:
            worst = values[heap[0]]
            if (worst > value if down else worst < value) or (math.isnan(worst) and not math.isnan(value)):
                heap[0] = place
                sink(0)
    for last in range(1, len(heap)):
        while last and less(last - 1, last):
            swap(last - 1, last)
            last -= 1
    return heap


def bucket_quantile(rank: float, buckets: Sequence[tuple[float, float]]) -> tuple[float, bool]:
    """Of bounds and cumulative counts; and whether the counts had to be made to rise."""
    if math.isnan(rank):
        return math.nan, False
    if rank < 0 or rank > 1:
        return math.copysign(math.inf, rank), False
    counts: dict[float, float] = {}
    for limit, count in sorted(buckets, key=lambda bucket: bucket[0]):
        counts[limit] = counts[limit] + count if limit in counts else count
    bounds = list(counts)
    if bounds[-1] != math.inf:
        return math.nan, False
    risen, forced = [counts[bounds[0]]], False
    for limit in bounds[1:]:
        now, before = counts[limit], risen[-1]
        if now < before and abs(now - before) / (abs(now) + abs(before)) >= 1e-12:
            forced = True
        small = now != before and before != 0 and now != 0
        small = small and abs(now - before) / (abs(now) + abs(before)) < 1e-12
        risen.append(before if now < before or small else now)
    if len(bounds) < 2 or risen[-1] == 0:
        return math.nan, forced
    wanted = rank * risen[-1]
    place = next((at for at in range(len(bounds) - 1) if risen[at] >= wanted), len(bounds) - 1)
    if place == len(bounds) - 1:
        return bounds[-2], forced
    if place == 0 and bounds[0] <= 0:
        return bounds[0], forced
    start, below = (bounds[place - 1], risen[place - 1]) if place else (0.0, 0.0)
    with np.errstate(all="ignore"):
        share = float(np.float64(wanted - below) / (risen[place] - below))
    return start + (bounds[place] - start) * share, forced
