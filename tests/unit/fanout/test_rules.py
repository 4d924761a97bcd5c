"""Which rules a request is about."""

import pytest

from app.errors import CallError, Code
from app.fanout.apis.rules import merged
from app.pb.thanos import Alert, Label, RecordingRule, Rule, RuleGroup, RulesRequest, ZLabelSet


def groups() -> list[RuleGroup]:
    labels = ZLabelSet(labels=[Label(name="severity", value="page")])
    return [
        RuleGroup(name="b", file="f", rules=[Rule(alert=Alert(name="Down", labels=labels))]),
        RuleGroup(name="a", file="f", rules=[Rule(recording=RecordingRule(name="up:sum"))]),
    ]


@pytest.mark.parametrize(
    ("selectors", "names"),
    [
        ([], ["a", "b"]),
        (["{}"], ["a", "b"]),
        ([" { } ", '{severity="page"}'], ["b"]),
        (['{severity=""}'], ["a"]),
        (['{severity="page"}', '{severity=""}'], []),
    ],
)
def test_rules_have_to_match_every_selector(selectors: list[str], names: list[str]) -> None:
    found = merged(groups(), RulesRequest(matcher_string=selectors), frozenset())
    assert [group.name for group in found] == names


def test_nonsense_is_refused() -> None:
    with pytest.raises(CallError) as caught:
        merged(groups(), RulesRequest(matcher_string=["{"]), frozenset())
    assert caught.value.code is Code.INVALID_ARGUMENT
