"""The evaluator's twin that measures: what each node takes, and how many samples its selectors gave."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from time import perf_counter
from typing import Any

import msgspec
import numpy as np

from app.engine.fast.context import Context, NotServed
from app.engine.fast.evaluator import Evaluator, Value
from app.engine.fast.grid import Numbers, Steps
from app.engine.fast.natives import Natives
from app.engine.fast.plan import FAST, Node, Plan
from app.engine.fast.windowing import Chunks, Source, Window
from app.engine.kernels import over_time
from app.engine.measuring import Counts, Measuring, analyzed
from app.engine.promql.ast import Call, MatrixSelector, SubqueryExpr, VectorSelector
from app.engine.promql.printer import text

_BLOCK_POINTS = 1 << 17
"""Of the counts that one task makes: a megabyte."""


class MeasuringEvaluator(Evaluator):
    """Mutable: the measurements."""

    def __init__(self, context: Context, plan: Plan, measuring: Measuring) -> None:
        super().__init__(context)
        self._measuring = measuring
        self._root = plan.root
        # What is below a subquery is not its caller's: the caller counts what the subquery gives.
        self._apart = {
            id(child)
            for node in plan.root.walk()
            if isinstance(node.expr, SubqueryExpr)
            for child in node.children
        }

    def value(self, node: Node, steps: Steps) -> Value:
        measuring, measured = self._measuring, self._measuring.of(node)
        with measuring.evaluating(node, steps.count) as counted:
            found = super().value(node, steps)
            present = np.ones((1, steps.count), np.bool_) if isinstance(found, Numbers) else found.present
            measured.peak = max(measured.peak, int(np.count_nonzero(present)))
            if _gives_samples(node):
                measuring.count(np.count_nonzero(present, axis=0).astype(np.int64))
        if node is self._root:
            measuring.per_step += counted
        elif id(node) not in self._apart:
            measuring.count(counted)
        return found

    def observe(self, node: Node, source: Source | Natives, window: Window) -> None:
        """
        :raises NotServed: there are native histograms, of which each counts as several samples.
        """
        if isinstance(source, Natives) or (isinstance(source, Chunks) and source.native):
            raise NotServed("native histograms whose samples are to be counted")
        begun = perf_counter()
        counts = _counted(self._context, source, window)
        measured = self._measuring.of(node)
        if measured.seconds is None and not self._measuring.is_open(node):
            measured.samples += int(counts.sum())  # it has no evaluation of its own
        self._measuring.count(counts)
        self._measuring.pause(perf_counter() - begun)


def _gives_samples(node: Node) -> bool:
    """Whether its values are samples of an instant selector, one each."""
    if isinstance(node.expr, Call) and node.expr.func == "timestamp":
        return isinstance(node.children[0].expr, VectorSelector)
    return isinstance(node.expr, VectorSelector)


def _counted(context: Context, source: Source, window: Window) -> Counts:
    """Samples in each window, of all series: read once more, since no function needs to know them."""
    instant = window.function == over_time.INSTANT
    if not instant:
        window = msgspec.structs.replace(window, function=over_time.COUNT)
    size, steps = len(source.labels), len(window.ends)
    block = min(1024, max(16, _BLOCK_POINTS // max(1, steps)))

    def task(number: int) -> Counts:
        count = min(block, size - number * block)
        values, present = np.empty((count, steps)), np.zeros((count, steps), np.uint8)
        source.run(window, number * block, values, present, context.cancel)
        there = present.view(np.bool_)
        found: Counts = np.where(there, 1 if instant else values, 0).sum(axis=0).astype(np.int64)
        return found

    total = np.zeros(steps, np.int64)
    with closing(context.workers.in_order(-(-size // block), task)) as blocks:
        for counts in blocks:
            total += counts
    context.check()
    return total


def analysis(node: Node, measuring: Measuring) -> Mapping[str, Any]:
    """A node and what is below it; a range selector is part of the function that reads it."""
    measured = measuring.of(node)
    children = (analysis(child, measuring) for child in _below(node))
    return analyzed(f"[{FAST}] {text(node.expr)}", measured, children)


def _below(node: Node) -> Iterator[Node]:
    for child in node.children:
        if isinstance(child.expr, MatrixSelector):
            continue
        yield child
