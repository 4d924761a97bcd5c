"""Rules of all endpoints, merged as Thanos merges them. Pure.

Groups of one file and name are one group; in it rules that differ in their replica labels only are one rule:
of recording rules the youngest, of alerts the one that fires, then the youngest.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from app.errors import CallError, Code
from app.fanout.apis.labels import compared, moment, pairs, stripped
from app.fanout.apis.selectors import parse_selector
from app.fanout.selection import Matcher, compiled
from app.pb.thanos import Alert, RecordingRule, Rule, RuleGroup, RulesRequest, ZLabelSet

# The value of a label that is made of one when the rule is evaluated cannot be matched before.
_TEMPLATED = re.compile(r"\{\{")
# Of series it would select everything and is refused; rules are few, and Thanos shows them all.
_ALL = re.compile(r"\s*\{\s*\}\s*")


def merged(
    groups: Iterable[RuleGroup], request: RulesRequest, replica_labels: frozenset[str]
) -> list[RuleGroup]:
    """The groups that `request` asks for, sorted by file and name.

    :raises CallError: INVALID_ARGUMENT, a selector of the request is none.
    """
    kept = _filtered(list(groups), request)
    kept.sort(key=lambda group: f"{group.file};{group.name}".encode())
    found: list[RuleGroup] = []
    for group in kept:
        if found and (found[-1].file, found[-1].name) == (group.file, group.name):
            found[-1].rules.extend(group.rules)
        else:
            found.append(group)
    for group in found:
        group.rules = _deduplicated(group.rules, replica_labels)
    return found


def _content(rule: Rule) -> RecordingRule | Alert:
    content = rule.alert if rule.alert is not None else rule.recording
    return content if content is not None else RecordingRule()


def _filtered(groups: list[RuleGroup], request: RulesRequest) -> list[RuleGroup]:
    selectors = [_compiled(text) for text in request.matcher_string if not _ALL.fullmatch(text)]
    names, group_names, files = (set(each) for each in (request.rule_name, request.rule_group, request.file))
    if not (selectors or names or group_names or files):
        return groups
    found = []
    for group in groups:
        if (group_names and group.name not in group_names) or (files and group.file not in files):
            continue
        group.rules = [
            rule
            for rule in group.rules
            if (not names or _content(rule).name in names) and _matches(_content(rule).labels, selectors)
        ]
        if group.rules:
            found.append(group)
    return found


def _compiled(text: str) -> list[Matcher]:
    try:
        return [compiled(matcher) for matcher in parse_selector(text)]
    except ValueError as error:
        raise CallError(Code.INVALID_ARGUMENT, f"matcher_string: {error}") from None


def _matches(labels: ZLabelSet | None, selectors: Sequence[Sequence[Matcher]]) -> bool:
    known = {name: value for name, value in pairs(labels) if not _TEMPLATED.search(value)}
    return all(matcher.matches(known.get(matcher.name, "")) for each in selectors for matcher in each)


def _deduplicated(rules: list[Rule], replica_labels: frozenset[str]) -> list[Rule]:
    for rule in rules:
        content = _content(rule)
        content.labels = stripped(content.labels, replica_labels)
    rules.sort(key=_key)
    found: list[Rule] = []
    for rule in rules:
        if not found or _key(found[-1]) != _key(rule):
            found.append(rule)
        elif _freshness(rule) > _freshness(found[-1]):
            found[-1] = rule
    return found


def _key(rule: Rule) -> tuple[Any, ...]:
    """Equal for what is one rule; alerts come before recording rules."""
    content = _content(rule)
    is_recording = rule.alert is None
    duration = content.duration_seconds if isinstance(content, Alert) else 0.0
    return (
        is_recording, content.name.encode(), compared(content.labels), content.query.encode(), duration,
    )  # fmt: skip


def _freshness(rule: Rule) -> tuple[int, tuple[int, int]]:
    """The larger one is kept."""
    content = _content(rule)
    state = int(content.state) if isinstance(content, Alert) else 0
    return state, moment(content.last_evaluation)
