"""Targets of all endpoints, merged as Thanos merges them. Pure.

Targets that differ in their replica labels only are one: the one whose health is worse, then the one that was
scraped last.
"""

from collections.abc import Iterable
from typing import Any

from app.fanout.apis.labels import Compared, compared, moment, stripped
from app.pb.thanos import ActiveTarget, DroppedTarget, TargetDiscovery, TargetsRequest, TargetsRequestState

TOGETHER = 500
"""Targets to a message."""


def merged(
    answers: Iterable[TargetDiscovery], request: TargetsRequest, replica_labels: frozenset[str]
) -> list[TargetDiscovery]:
    """All targets that `request` asks for, in messages of bounded size, one at least."""
    active: list[ActiveTarget] = []
    dropped: list[DroppedTarget] = []
    for answer in answers:
        if request.state is not TargetsRequestState.DROPPED:
            active.extend(answer.active_targets)
        if request.state is not TargetsRequestState.ACTIVE:
            dropped.extend(answer.dropped_targets)
    active, dropped = _active(active, replica_labels), _dropped(dropped, replica_labels)
    parts = [TargetDiscovery(active_targets=part) for part in _parts(active)]
    parts += [TargetDiscovery(dropped_targets=part) for part in _parts(dropped)]
    return parts or [TargetDiscovery()]


def _parts(targets: list[Any]) -> list[list[Any]]:
    return [targets[at : at + TOGETHER] for at in range(0, len(targets), TOGETHER)]


def _active(targets: list[ActiveTarget], replica_labels: frozenset[str]) -> list[ActiveTarget]:
    found: dict[tuple[Any, ...], ActiveTarget] = {}
    for target in targets:
        target.discovered_labels = stripped(target.discovered_labels, replica_labels)
        target.labels = stripped(target.labels, replica_labels)
        key = (
            target.scrape_url.encode(),
            target.scrape_pool.encode(),
            compared(target.discovered_labels),
            compared(target.labels),
        )
        other = found.get(key)
        if other is None or _rank(target) < _rank(other):
            found[key] = target
    return [found[key] for key in sorted(found)]


def _rank(target: ActiveTarget) -> tuple[int, int, int]:
    """The smallest is kept."""
    seconds, nanos = moment(target.last_scrape)
    return int(target.health), -seconds, -nanos


def _dropped(targets: list[DroppedTarget], replica_labels: frozenset[str]) -> list[DroppedTarget]:
    found: dict[Compared, DroppedTarget] = {}
    for target in targets:
        target.discovered_labels = stripped(target.discovered_labels, replica_labels)
        found.setdefault(compared(target.discovered_labels), target)
    return [found[key] for key in sorted(found)]
