"""What the evaluator handles at one step."""

from collections.abc import Sequence

import msgspec

from app.engine.histogram.model import FloatHistogram
from app.engine.model import METRIC_NAME, Labels
from app.engine.promql.quoting import quoted

METADATA = frozenset({METRIC_NAME, "__type__", "__unit__"})
"""Labels that say what a metric is; a function whose result is something else drops them."""


class Element(msgspec.Struct):
    """One series at one step. Mutable: the function that made it may change it before it hands it on.

    :param time: milliseconds since the epoch: of the step, or of the sample that a selector found.
    :param drop_name: whether the name is to be dropped at the end, where name removal is delayed.
    """

    labels: Labels
    value: float | FloatHistogram
    time: int
    drop_name: bool = False

    @property
    def histogram(self) -> FloatHistogram | None:
        return self.value if isinstance(self.value, FloatHistogram) else None


Instant = list[Element]


class Window(msgspec.Struct):
    """One series of a range vector at one step.

    :param floats: times (milliseconds) and values, in order; `histograms` likewise.
    :param start: the range's limits, milliseconds; samples may lie outside where the selector is anchored or
        smoothed.
    :param seconds: the length of the range.
    """

    labels: Labels
    floats: Sequence[tuple[int, float]]
    histograms: Sequence[tuple[int, FloatHistogram]]
    start: int
    end: int
    seconds: float
    drop_name: bool = False

    @property
    def name(self) -> str:
        return label(self.labels, METRIC_NAME)

    @property
    def values(self) -> list[float]:
        return [value for _, value in self.floats]


def label(labels: Labels, name: str) -> str:
    """A label's value; empty where there is none."""
    for each, value in labels:
        if each == name:
            return value
    return ""


def without(labels: Labels, names: frozenset[str]) -> Labels:
    return tuple(pair for pair in labels if pair[0] not in names)


def only(labels: Labels, names: frozenset[str]) -> Labels:
    return tuple(pair for pair in labels if pair[0] in names)


def with_label(labels: Labels, name: str, value: str) -> Labels:
    """With one label set, or removed where the value is empty."""
    kept = [pair for pair in labels if pair[0] != name]
    if value:
        kept.append((name, value))
    return tuple(sorted(kept))


def written(labels: Labels) -> str:
    """As error texts show labels: ``{__name__="up", job="node"}``."""
    return "{" + ", ".join(f"{name}={quoted(value)}" for name, value in labels) + "}"
