"""The fast path against the reference evaluator: the same values, errors, annotations and order."""

import math
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from app.engine.fast import FAST, NotServed, evaluate, plan, selectors, to_value
from app.engine.fast.workers import Workers
from app.engine.histogram.model import FloatHistogram
from app.engine.model import (
    Annotations,
    EvaluationError,
    Labels,
    Matrix,
    Query,
    Row,
    Scalar,
    Series,
    Storage,
    Value,
    Vector,
)
from app.engine.promql.features import ALL_FEATURES
from app.engine.promql.parser import parse
from app.engine.reference import evaluate as evaluate_reference
from app.engine.select.model import ChunkTable
from tests.unit.engine.fast.tables import table

ALONE = Workers(1)


class Outcome(msgspec.Struct, frozen=True):
    """:param error: of an evaluation that failed; the rest is then empty."""

    value: Value | None
    notes: frozenset[str]
    error: str = ""


def table_of(found: Sequence[Series], start: int, end: int) -> ChunkTable:
    """Series with native histograms as they are, the others in chunks."""
    plain = {
        series.labels: [list(zip(series.times.tolist(), series.values.tolist(), strict=True))]
        for series in found
        if not series.histograms
    }
    made = table(
        {**plain, **{series.labels: [] for series in found if series.histograms}}, start=start, end=end
    )
    places = {labels: place for place, labels in enumerate(sorted(series.labels for series in found))}
    decoded = {places[series.labels]: series for series in found if series.histograms}
    return msgspec.structs.replace(made, decoded=decoded)


def fast(query: Query, expression: str, storage: Storage, workers: Workers = ALONE) -> Outcome | None:
    """None where the fast path does not serve it."""
    made = plan(parse(expression, ALL_FEATURES), query)
    if made.path != FAST:
        return None
    tables = {}
    for number, (selector, hints) in enumerate(selectors(made)):
        found = storage.select(selector.matchers, hints.start, hints.end)
        tables[number] = table_of(found, hints.start, hints.end)
    annotations = Annotations()
    try:
        value = evaluate(made, tables, np.zeros(1, np.uint8), annotations, workers)
    except NotServed:
        return None
    except EvaluationError as error:
        return Outcome(None, frozenset(), str(error))
    return Outcome(to_value(value, query), _notes(annotations, query))


def reference(query: Query, expression: str, storage: Storage) -> Outcome:
    try:
        value, annotations = evaluate_reference(query, expression, storage, ALL_FEATURES)
    except EvaluationError as error:
        return Outcome(None, frozenset(), str(error))
    return Outcome(value, _notes(annotations, query))


def _notes(annotations: Annotations, query: Query) -> frozenset[str]:
    return frozenset([*annotations.texts("info", query.text), *annotations.texts("warning", query.text)])


def check(query: Query, expression: str, storage: Storage, *, ordered: bool = True) -> bool:
    """Whether the fast path serves it, having compared.

    Of several errors at different steps, the two may tell different ones.

    :param ordered: whether the elements of a vector must come in the same order.
    :raises AssertionError: the outcomes differ.
    """
    found = fast(query, expression, storage)
    if found is None:
        return False
    wanted = reference(query, expression, storage)
    where = f"{expression!r} from {query.start} to {query.end} step {query.step}"
    assert bool(found.error) == bool(wanted.error), f"{where}: {found.error} instead of {wanted.error}"
    if not query.step and ":" not in expression:
        assert found.error == wanted.error, where
    if not found.error:
        assert found.notes == wanted.notes, where
        assert wanted.value is not None
        assert found.value is not None
        _same_value(found.value, wanted.value, where, ordered)
    return True


def _same_value(found: Value, wanted: Value, where: str, ordered: bool) -> None:
    assert type(found) is type(wanted), where
    if isinstance(found, Scalar) and isinstance(wanted, Scalar):
        assert found.time == wanted.time, where
        _same_numbers([found.value], [wanted.value], where)
    elif isinstance(found, Vector) and isinstance(wanted, Vector):
        mine = [(sample.labels, sample.time, sample.value) for sample in found.samples]
        theirs = [(sample.labels, sample.time, sample.value) for sample in wanted.samples]
        if not ordered:
            mine, theirs = (sorted(each, key=lambda sample: sample[0]) for each in (mine, theirs))
        assert [each[:2] for each in mine] == [each[:2] for each in theirs], where
        _same_numbers([each[2] for each in mine], [each[2] for each in theirs], where)
    elif isinstance(found, Matrix) and isinstance(wanted, Matrix):
        assert _labels(found) == _labels(wanted), where
        for mine_row, theirs_row in zip(found.rows, wanted.rows, strict=True):
            assert mine_row.times.tolist() == theirs_row.times.tolist(), f"{where}: {mine_row.labels}"
            _same_numbers(_values(mine_row), _values(theirs_row), f"{where}: {mine_row.labels}")


def _labels(matrix: Matrix) -> list[Labels]:
    return [row.labels for row in matrix.rows]


def _values(row: Row) -> list[object]:
    return [row.histograms.get(place, value) for place, value in enumerate(row.values.tolist())]


def _same_histograms(mine: FloatHistogram, theirs: FloatHistogram, where: str) -> None:
    for name in ("schema", "zero_threshold", "custom_values", "reset_hint"):
        assert getattr(mine, name) == getattr(theirs, name), f"{where}: {name}"
    for name in ("count", "sum", "zero_count"):
        _same_numbers([getattr(mine, name)], [getattr(theirs, name)], f"{where}: {name}")
    for name in ("positive", "negative"):
        ours, others = dict(getattr(mine, name)), dict(getattr(theirs, name))
        assert ours.keys() == others.keys(), f"{where}: {name}: {ours} instead of {others}"
        _same_numbers([ours[index] for index in others], others.values(), f"{where}: {name}")


def _same_numbers(found: Iterable[object], wanted: Iterable[object], where: str) -> None:
    for mine, theirs in zip(found, wanted, strict=True):
        if isinstance(theirs, FloatHistogram):
            assert isinstance(mine, FloatHistogram), where
            _same_histograms(mine, theirs, where)
            continue
        assert isinstance(mine, float), where
        assert isinstance(theirs, float), where
        if math.isnan(theirs):
            assert math.isnan(mine), f"{where}: {mine} instead of NaN"
        else:
            # Both add in the same order; only powers, logarithms and such come from different libraries.
            assert math.isclose(mine, theirs, rel_tol=1e-12), f"{where}: {mine} instead of {theirs}"
