"""Whether an evaluation gives what a promqltest file expects of it."""

from collections.abc import Mapping, Sequence

from app.engine.histogram.buckets import to_test_text
from app.engine.histogram.floats import close
from app.engine.histogram.model import FloatHistogram, populated
from app.engine.model import Annotations, Labels, Matrix, Row, Scalar, String, Value, Vector
from tests.promqltest.description import Point
from tests.promqltest.script import Eval, Expect

EPSILON = 1e-6
Number = float | FloatHistogram


class Mismatch(AssertionError):
    """What was expected, and what came."""


def check_value(case: Eval, value: Value) -> None:
    """:raises Mismatch: it is not what is expected."""
    if case.string is not None and not isinstance(value, String):
        raise Mismatch(f"expected the string {case.string!r}, got {value}")
    match value:
        case String():
            if case.string != value.value:
                raise Mismatch(f"expected {_shown_string(case.string)}, got the string {value.value!r}")
        case Scalar():
            if case.scalar is None or not almost(case.scalar, value.value):
                raise Mismatch(f"expected {case.scalar}, got the scalar {value.value}")
        case Vector():
            _check_vector(case, value)
        case Matrix():
            _check_matrix(case, value)


def _shown_string(text: str | None) -> str:
    return "no string" if text is None else f"the string {text!r}"


def _check_vector(case: Eval, value: Vector) -> None:
    if case.scalar is not None:
        raise Mismatch(f"expected the scalar {case.scalar}, got a vector")
    if case.range is not None or case.step:
        raise Mismatch("expected a matrix, got a vector")
    got = [sample.labels for sample in value.samples]
    _check_labels(case, got)
    if case.expected("ordered") and got != list(case.rows):
        raise Mismatch(f"expected the order {list(case.rows)}, got {got}")
    for sample in value.samples:
        _check_point(sample.labels, case.rows[sample.labels][0], sample.value)


def _check_labels(case: Eval, got: Sequence[Labels]) -> None:
    if len(set(got)) < len(got):
        raise Mismatch(f"a series comes twice: {got}")
    if extra := [labels for labels in got if labels not in case.rows]:
        raise Mismatch(f"unexpected {extra}, expected {list(case.rows)}")
    if missing := [labels for labels in case.rows if labels not in got]:
        raise Mismatch(f"{missing} not found")


def _check_point(labels: Labels, expected: Point, value: Number) -> None:
    if isinstance(expected.value, FloatHistogram):
        if not isinstance(value, FloatHistogram) or not same(expected.value, value, expected.hint):
            raise Mismatch(f"{labels}: expected {shown(expected.value)}, got {shown(value)}")
    elif expected.value is None or isinstance(value, FloatHistogram) or not almost(expected.value, value):
        raise Mismatch(f"{labels}: expected {expected.value}, got {shown(value)}")


def _check_matrix(case: Eval, value: Matrix) -> None:
    if (
        case.expected("ordered")
        or case.scalar is not None
        or (case.rows and not case.step and not case.range)
    ):
        raise Mismatch("expected no matrix")
    labels = [row.labels for row in value.rows]
    if labels != sorted(labels):
        raise Mismatch(f"not sorted: {labels}")
    _check_labels(case, labels)
    start, end, step = case.range or (case.start, case.end, case.step)
    for row in value.rows:
        points = {
            start + place * step: point
            for place, point in enumerate(case.rows[row.labels])
            if point.value is not None
        }
        if points and max(points) > end:
            raise Mismatch(f"{row.labels}: more points expected than the range has")
        got = values_of(row)
        if list(points) != row.times.tolist():
            times = row.times.tolist()
            raise Mismatch(f"{row.labels}: expected points at {list(points)}, got {times}: {_shown_row(got)}")
        for time, point in points.items():
            _check_point(row.labels, point, got[time])


def values_of(row: Row) -> dict[int, Number]:
    """By time."""
    return {
        int(time): row.histograms.get(place, float(row.values[place])) for place, time in enumerate(row.times)
    }


def _shown_row(values: dict[int, Number]) -> dict[int, str]:
    return {time: shown(value) for time, value in values.items()}


def shown(value: Number) -> str:
    return to_test_text(value) if isinstance(value, FloatHistogram) else repr(value)


def almost(a: float, b: float) -> bool:
    """Equal but for rounding; the staleness marker equals only itself."""
    return close(a, b, EPSILON)


def same(a: FloatHistogram, b: FloatHistogram, hint: bool) -> bool:
    """:param hint: whether the hint of a counter reset must be the same."""
    return (
        a.schema == b.schema
        and a.custom_values == b.custom_values
        and a.zero_threshold == b.zero_threshold
        and all(almost(x, y) for x, y in ((a.count, b.count), (a.sum, b.sum), (a.zero_count, b.zero_count)))
        and _same_buckets(a.positive, b.positive)
        and _same_buckets(a.negative, b.negative)
        and (not hint or a.reset_hint is b.reset_hint)
    )


def _same_buckets(a: Mapping[int, float], b: Mapping[int, float]) -> bool:
    a, b = populated(a), populated(b)
    return a.keys() == b.keys() and all(almost(count, b[index]) for index, count in a.items())


def check_annotations(case: Eval, annotations: Annotations, query: str) -> None:
    """:raises Mismatch: something was said that is not expected, or the other way round."""
    for kind in ("warn", "info"):
        said = annotations.texts("warning" if kind == "warn" else kind, query)
        expected = case.expected(kind)
        if case.expected(f"no_{kind}") and said:
            raise Mismatch(f"unexpected annotations: {said}")
        if not expected:
            continue
        for each in expected:
            if not any(each.matches(text) for text in said):
                raise Mismatch(f"expected {kind} {each.text!r}, got {said}")
        for text in said:
            if not any(each.matches(text) for each in expected):
                raise Mismatch(f"unexpected {kind}: {text}")


def check_failure(expected: Sequence[Expect], error: Exception) -> None:
    """:raises Mismatch: another failure was expected."""
    for each in expected:
        if not each.matches(str(error)):
            raise Mismatch(f"expected the failure {each.text!r}, got {str(error)!r}")
