"""PromQL evaluated on columns: every node at all steps at once, by compiled kernels.

The order of use: `plan` says whether an expression is served and which series it needs (`selectors`); the
caller fetches a table for each; `evaluate` makes a grid of them, and `to_value` or `write_json` the result.
`warm_up` compiles everything beforehand.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from app.engine.budget import Budget
from app.engine.fast.context import Context, NotServed
from app.engine.fast.evaluator import Evaluator
from app.engine.fast.grid import Grid, Numbers, Steps
from app.engine.fast.labels import LabelTable
from app.engine.fast.measuring import MeasuringEvaluator, analysis
from app.engine.fast.natives import NativeGrid
from app.engine.fast.output import is_instant, to_value, write_json
from app.engine.fast.plan import FAST, REFERENCE, Node, Plan, explained, make_plan
from app.engine.fast.warming import warm_up
from app.engine.fast.workers import Workers, shared
from app.engine.measuring import Measuring
from app.engine.model import Annotations, Hints, Query, Scalar
from app.engine.promql.ast import Expr, VectorSelector
from app.engine.select.model import ChunkTable

__all__ = [
    "FAST",
    "REFERENCE",
    "Grid",
    "NativeGrid",
    "Node",
    "NotServed",
    "Plan",
    "analysis",
    "evaluate",
    "explained",
    "plan",
    "selectors",
    "to_value",
    "warm_up",
    "write_json",
]


def plan(expr: Expr, query: Query) -> Plan:
    """Decide for each node which path it takes.

    :param expr: as parsed and checked; matchers may have been added to its selectors.
    :raises DurationError: a duration expression has no sensible value.
    """
    return make_plan(expr, query)


def selectors(plan: Plan) -> list[tuple[VectorSelector, Hints]]:
    """The series that are needed, with their time ranges; a selector's number is its place here."""
    return list(plan.wanted)


def evaluate(
    plan: Plan,
    tables: Mapping[int, ChunkTable],
    cancel: NDArray[np.uint8],
    annotations: Annotations,
    workers: Workers | None = None,
    measuring: Measuring | None = None,
    budget: Budget | None = None,
) -> Grid | NativeGrid | Scalar:
    """Evaluate a plan whose path is `fast`. Blocks; the interpreter's lock is free most of the time.

    :param tables: by the numbers of the selectors.
    :param cancel: (1,) uint8; another thread sets it to stop.
    :param annotations: added to.
    :param workers: the threads; those of the process unless given. The result does not depend on them.
    :param measuring: added to; None: nothing is measured.
    :param budget: of the query, whose samples count from 0; without one only its limit of samples holds.
    :return: a scalar only for an instant query; over a range it is a row without labels.
    :raises EvaluationError: the query cannot be answered.
    :raises NotServed: the data is for the reference path, as native histograms of several layouts are.
    :raises Cancelled: `cancel` was set.
    """
    query = plan.query
    budget = budget or Budget(samples=query.limits.samples)
    budget.samples = 0
    context = Context(query, tables, cancel, annotations, workers or shared(), budget)
    count = 1 if is_instant(query) else (query.end - query.start) // query.step + 1
    steps = Steps(query.start, query.step, count)
    evaluator = Evaluator(context) if measuring is None else MeasuringEvaluator(context, plan, measuring)
    found = evaluator.value(plan.root, steps)
    if isinstance(found, Numbers):
        if is_instant(query):
            return Scalar(query.start, float(found.values[0]))
        labels = LabelTable(context.texts, 1, {})
        found = Grid(labels, found.values[None, :], np.ones((1, count), np.bool_), steps)
    return found
