"""Compiling the kernels: small data through all of them, with the types of real ones."""

import msgspec
import numpy as np

from app.engine.budget import Budget
from app.engine.cancelling import CancelFlag
from app.engine.fast.context import Context
from app.engine.fast.evaluator import Evaluator
from app.engine.fast.grid import Grid, Steps
from app.engine.fast.output import write_json
from app.engine.fast.plan import make_plan
from app.engine.fast.workers import Workers
from app.engine.histogram.columns import HistogramColumns
from app.engine.histogram.model import FloatHistogram
from app.engine.model import Annotations, Query, Scalar, Series
from app.engine.promql.parser import parse
from app.engine.select.model import ChunkTable, LabelColumns

_QUERIES = (
    "sum(rate(m[2m]))",
    "max_over_time(m[2m:1m])",
    "quantile(0.5, m)",
    "topk(1, m)",
    "sum(m > 0)",
    "m + m",
    "m or m",
    "histogram_quantile(0.5, m)",
)
"""Together they use every kernel for floats."""
_NATIVE = "histogram_quantile(0.5, sum(rate(m[2m])))"
"""Likewise for native histograms."""
_CHUNK = b"\x00\x01\x00" + bytes(8)
"""One sample, at the epoch."""


def _run(text: str, table: ChunkTable) -> None:
    query = Query(text, 0, 60_000, 60_000)
    plan = make_plan(parse(text), query)
    tables = dict.fromkeys(range(len(plan.wanted)), table)
    context = Context(query, tables, CancelFlag().array, Annotations(), Workers(1), Budget())
    found = Evaluator(context).value(plan.root, Steps(0, 60_000, 2))
    assert isinstance(found, Grid)
    for _ in write_json(found, query):
        pass


def warm_up() -> None:
    """Idempotent; what was compiled by an earlier process is loaded from numba's cache."""
    columns = LabelColumns(
        ["__name__", "m", "le", "+Inf"], np.array([[0, 2]], np.int32), np.array([[1, 3]], np.int32)
    )
    two_lanes = np.array([0, 2], np.int64)
    table = ChunkTable(
        columns=columns,
        data=np.frombuffer(_CHUNK + bytes(16), np.uint8),
        lanes=two_lanes,
        chunks=np.array([0, 1, 2], np.int64),
        offset=np.zeros(2, np.int64),
        length=np.full(2, len(_CHUNK), np.int64),
        start=-60_000,
        end=60_000,
    )
    for text in _QUERIES:
        _run(text, table)
    histograms = HistogramColumns.of({0: FloatHistogram(positive={1: 1.0})}, 1)
    series = Series((), np.zeros(1, np.int64), np.zeros(1), histograms)
    none = np.zeros(2, np.int64)
    _run(_NATIVE, msgspec.structs.replace(table, lanes=none, chunks=none[:1], decoded={0: series}))
    for _ in write_json(Scalar(0, 0.0), Query("0", 0, 0)):
        pass
