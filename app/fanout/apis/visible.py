"""Rules, targets and exemplars less what a client may not see. Pure.

The endpoints were asked for all of it, so here it is decided: what a label says that is only made when a rule
is evaluated is not known, and so not shown.
"""

import re
from collections.abc import Iterable, Iterator

from app.endpoints.model import Labels
from app.fanout.apis.labels import pairs
from app.fanout.scope import Scope
from app.pb.thanos import (
    Alert,
    AlertState,
    ExemplarData,
    RecordingRule,
    Rule,
    RuleGroup,
    TargetDiscovery,
)

_TEMPLATED = re.compile(r"\{\{")


def rule_groups(groups: Iterable[RuleGroup], scope: Scope) -> Iterator[RuleGroup]:
    """Groups with the rules whose labels may be seen, and of alerts the instances; no empty ones."""
    for group in groups:
        if scope.restricted:
            group.rules = [rule for rule in group.rules if _shows_rule(rule, scope)]
            if not group.rules:
                continue
        yield group


def _shows_rule(rule: Rule, scope: Scope) -> bool:
    content: RecordingRule | Alert | None = rule.alert if rule.alert is not None else rule.recording
    if content is None:
        return False
    own = pairs(content.labels)
    if not _decided(own, scope) or not scope.shows(own):
        return False
    if isinstance(content, Alert):
        _narrow(content, own, scope)
    return True


def _decided(labels: Labels, scope: Scope) -> bool:
    asked = {matcher.name for matcher in scope.compiled}
    return not any(name in asked and _TEMPLATED.search(value) for name, value in labels)


def _narrow(alert: Alert, own: Labels, scope: Scope) -> None:
    """Take out the instances that may not be seen, and what they made of the rule's state."""
    kept = [each for each in alert.alerts if scope.shows((*own, *pairs(each.labels)))]
    if len(kept) != len(alert.alerts):
        alert.alerts = kept
        alert.state = AlertState(max((int(each.state) for each in kept), default=AlertState.INACTIVE))


def targets(found: Iterable[TargetDiscovery], scope: Scope) -> Iterator[TargetDiscovery]:
    """Active targets by their labels; dropped ones by those they were discovered with, having no others."""
    for each in found:
        if scope.restricted:
            each.active_targets = [
                target for target in each.active_targets if scope.shows(pairs(target.labels))
            ]
            each.dropped_targets = [
                target for target in each.dropped_targets if scope.shows(pairs(target.discovered_labels))
            ]
        yield each


def exemplars(found: Iterable[ExemplarData], scope: Scope) -> Iterator[ExemplarData]:
    """Those of series that may be seen."""
    return (each for each in found if not scope.restricted or scope.shows(pairs(each.series_labels)))
