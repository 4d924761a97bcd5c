from app.fanout.apis import visible
from app.fanout.scope import EVERYTHING, Scope, scope_of
from app.pb.thanos import (
    ActiveTarget,
    Alert,
    AlertInstance,
    AlertState,
    DroppedTarget,
    ExemplarData,
    Label,
    RecordingRule,
    Rule,
    RuleGroup,
    TargetDiscovery,
    ZLabelSet,
)

EU = scope_of([("=", "realm", "eu")])
NOT_US = scope_of([("!=", "realm", "us")])


def labels(**given: str) -> ZLabelSet:
    return ZLabelSet(labels=[Label(name=name, value=value) for name, value in given.items()])


def recording(name: str, **given: str) -> Rule:
    return Rule(recording=RecordingRule(name=name, labels=labels(**given)))


def shown(scope: Scope, *rules: Rule) -> list[Rule]:
    found = visible.rule_groups([RuleGroup(name="g", rules=list(rules))], scope)
    return [rule for group in found for rule in group.rules]


def test_a_scope_is_about_labels_that_are_there_and_labels_that_are_not() -> None:
    assert EU.shows([("realm", "eu"), ("a", "b")])
    assert not EU.shows([("realm", "us")])
    assert not EU.shows([])
    assert NOT_US.shows([])
    assert EVERYTHING.shows([])
    # Behind an endpoint that does not have the label there may be series that do.
    assert EU.may_show((("a", "b"),))
    assert not EU.may_show((("realm", "us"),))
    both = scope_of([("=", "realm", "eu"), ("=~", "zone", "a.*")])
    assert both.shows([("realm", "eu"), ("zone", "a1")])
    assert not both.shows([("realm", "eu"), ("zone", "b")])


def test_the_queriers_own_labels_decide_their_part() -> None:
    both = scope_of([("=", "realm", "eu"), ("=", "cluster", "c")])
    left = both.within((("cluster", "c"),))
    assert left is not None
    assert left.texts == (("=", "realm", "eu"),)
    assert both.within((("cluster", "other"),)) is None
    whole = scope_of([("=", "cluster", "c")]).within((("cluster", "c"),))
    assert whole is not None
    assert not whole.restricted


def test_rules_by_their_labels() -> None:
    rules = [recording("a", realm="eu"), recording("b", realm="us"), recording("c"), Rule()]
    assert [rule.recording.name for rule in shown(EU, *rules) if rule.recording] == ["a"]
    assert len(shown(EVERYTHING, *rules)) == 4
    assert list(visible.rule_groups([RuleGroup(rules=[recording("b", realm="us")])], EU)) == []


def test_a_label_that_is_a_template_is_not_shown() -> None:
    templated = recording("a", realm="{{ $labels.realm }}")
    assert shown(NOT_US, templated) == []
    assert len(shown(NOT_US, recording("a", other="{{ $labels.x }}"))) == 1


def test_instances_of_alerts_and_what_they_make_of_the_state() -> None:
    def alert() -> Rule:
        return Rule(
            alert=Alert(
                state=AlertState.FIRING,
                labels=labels(severity="page"),
                alerts=[
                    AlertInstance(state=AlertState.FIRING, labels=labels(realm="us")),
                    AlertInstance(state=AlertState.PENDING, labels=labels(realm="eu")),
                ],
            )
        )

    (found,) = shown(NOT_US, alert())
    assert found.alert is not None
    assert [each.state for each in found.alert.alerts] == [AlertState.PENDING]
    assert found.alert.state is AlertState.PENDING
    hidden = alert()
    assert hidden.alert is not None
    hidden.alert.alerts.pop()
    (found,) = shown(NOT_US, hidden)
    assert found.alert is not None
    assert (found.alert.alerts, found.alert.state) == ([], AlertState.INACTIVE)


def test_targets() -> None:
    discovery = TargetDiscovery(
        active_targets=[ActiveTarget(labels=labels(realm=realm), scrape_url=realm) for realm in ("eu", "us")],
        dropped_targets=[
            DroppedTarget(discovered_labels=labels(realm="us")),
            DroppedTarget(discovered_labels=labels(realm="eu")),
            DroppedTarget(),
        ],
    )
    (found,) = visible.targets([discovery], EU)
    assert [each.scrape_url for each in found.active_targets] == ["eu"]
    assert len(found.dropped_targets) == 1


def test_exemplars() -> None:
    data = [ExemplarData(series_labels=labels(realm=realm)) for realm in ("eu", "us")]
    assert list(visible.exemplars(data, EU)) == data[:1]
    assert list(visible.exemplars(data, EVERYTHING)) == data
