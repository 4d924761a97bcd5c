"""Partial response: what the failure of one endpoint does to the answer."""

from app.config.model import MissingEndpoints
from app.endpoints.model import EndpointView
from app.errors import CallError, Code
from app.fanout.metrics import FanoutMetrics
from app.fanout.selection import Choice
from app.pb.thanos import PartialResponseStrategy

MAX_WARNINGS = 1000
"""Kept for one answer. Beyond it only that there are more is said."""


class Warnings:
    """Mutable: what is to be said with an answer, each sentence once.

    :param abort: the client wants all or nothing.
    """

    def __init__(self, abort: bool) -> None:
        self.abort = abort
        self.all: list[str] = []
        self._seen: set[str] = set()
        self._taken = 0

    def add(self, text: str) -> None:
        """Something is missing from the answer.

        :raises CallError: ABORTED, when the client wants all or nothing.
        """
        if self.abort:
            raise CallError(Code.ABORTED, text)
        if text in self._seen or len(self.all) > MAX_WARNINGS:
            return
        self._seen.add(text)
        self.all.append(text if len(self.all) < MAX_WARNINGS else "more warnings were left out")

    def take(self) -> list[str]:
        """What was added since the last time."""
        new, self._taken = self.all[self._taken :], len(self.all)
        return new


def aborts(disabled: bool, strategy: PartialResponseStrategy) -> bool:
    """Whether a request wants all or nothing; the first field is the older form."""
    return disabled or strategy is PartialResponseStrategy.ABORT


def name_of(view: EndpointView) -> str:
    """An endpoint in a warning: its realm and address."""
    return f"{view.group}/{view.address}"


def report_missing(
    choice: Choice, policy: MissingEndpoints, warnings: Warnings, metrics: FanoutMetrics, method: str
) -> None:
    """Say which endpoints an answer misses (rule 8).

    :raises CallError: UNAVAILABLE when the policy is `error`, ABORTED when the client wants all or nothing.
    """
    if policy is MissingEndpoints.IGNORE:
        return
    for view in choice.missing:
        metrics.missing.labels(view.group, method).inc()
        reason = view.last_error or "it has not answered yet"
        text = f"endpoint {name_of(view)} is not healthy and missing from this answer: {reason}"
        if policy is MissingEndpoints.ERROR:
            raise CallError(Code.UNAVAILABLE, text)
        warnings.add(text)
