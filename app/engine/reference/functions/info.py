"""`info`: series enriched with the labels of what describes their target."""

from collections.abc import Iterable, Sequence

from app.engine.model import METRIC_NAME, EvaluationError, Labels
from app.engine.prepare import info_matchers
from app.engine.promql.ast import Matcher
from app.engine.promql.typecheck import matches
from app.engine.reference.elements import Element, Instant, label, only, with_label, written

IDENTIFYING = frozenset({"instance", "job"})
"""What an info series and those it describes have in common."""


def enriched(base: Iterable[Element], info: Instant, matchers: Sequence[Matcher]) -> Instant:
    """
    :param base: what is described.
    :param info: with the times of their samples, since the newest of several counts.
    :param matchers: of the second argument: on the name, and on the labels that are wanted.
    :raises EvaluationError: two info series contradict each other.
    """
    names = [matcher for matcher in info_matchers(matchers) if matcher.name == METRIC_NAME]
    wanted = [matcher for matcher in matchers if matcher.name != METRIC_NAME]
    described: dict[Labels, Instant] = {}
    for key, each in _newest(info).items():
        described.setdefault(key[1], []).append(each)
    found = []
    for element in base:
        if all(matches(matcher, label(element.labels, METRIC_NAME)) for matcher in names):
            found.append(element)  # it describes others; nothing describes it
            continue
        about = described.get(only(element.labels, IDENTIFYING), [])
        if not about and not all(matches(matcher, "") for matcher in wanted):
            continue
        labels = element.labels
        for name, value in _added(element.labels, about, {matcher.name for matcher in wanted}).items():
            labels = with_label(labels, name, value)
        found.append(Element(labels, element.value, element.time, element.drop_name))
    return found


def _newest(info: Instant) -> dict[tuple[str, Labels], Element]:
    """By metric name and identifying labels."""
    found: dict[tuple[str, Labels], Element] = {}
    for element in info:
        if element.histogram is not None:
            raise EvaluationError("info sample should be float")
        key = label(element.labels, METRIC_NAME), only(element.labels, IDENTIFYING)
        other = found.get(key)
        if other is not None and other.time == element.time:
            raise EvaluationError(
                f"found duplicate series for info metric: existing {written(other.labels)} @ {other.time}, "
                f"new {written(element.labels)} @ {element.time}"
            )
        if other is None or other.time < element.time:
            found[key] = element
    return found


def _added(own: Labels, about: Instant, wanted: set[str]) -> dict[str, str]:
    names = {name for name, _ in own}
    found: dict[str, str] = {}
    for element in about:
        for name, value in element.labels:
            if name == METRIC_NAME or (wanted and name not in wanted):
                continue
            if found.get(name, value) != value:
                raise EvaluationError(f"conflicting label: {name}")
            if name not in names:
                found[name] = value
    return found
