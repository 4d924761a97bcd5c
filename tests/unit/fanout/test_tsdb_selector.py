"""Relabeling rules against label sets, and what endpoints are asked then."""

import hashlib

import pytest

from app.config.model import RelabelRule
from app.endpoints.model import Labels, Snapshot, State
from app.fanout.selection import Choice, choose, compiled
from app.fanout.tsdb_selector import EVERY_TSDB, TsdbSelector
from app.pb.thanos import LabelMatcher, LabelMatcherType
from tests.unit.fanout.test_selection import endpoint

EU: Labels = (("realm", "eu"), ("replica", "a"))
EU_B: Labels = (("realm", "eu"), ("replica", "b"))
US: Labels = (("realm", "us"),)


def keep(regex: str, *sources: str, separator: str = ";") -> RelabelRule:
    return RelabelRule(action="keep", source_labels=sources, regex=regex, separator=separator)


def drop(regex: str, *sources: str) -> RelabelRule:
    return RelabelRule(action="drop", source_labels=sources, regex=regex)


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ([keep("eu", "realm")], (EU, EU_B)),
        ([keep("e", "realm")], None),
        ([drop("eu", "realm")], (US,)),
        ([drop("e|u", "realm")], (EU, EU_B, US)),
        ([keep("eu;a", "realm", "replica")], (EU,)),
        ([keep("us;", "realm", "replica")], (US,)),
        ([keep("a-eu", "replica", "realm", separator="-")], (EU,)),
        ([keep("", "replica")], (US,)),
        ([drop("", "absent")], None),
        ([keep("eu|us", "realm"), drop("b", "replica")], (EU, US)),
        ([keep("(.*)")], (EU, EU_B, US)),
    ],
)
def test_rules_are_applied_in_their_order(rules: list[RelabelRule], kept: tuple[Labels, ...] | None) -> None:
    assert TsdbSelector(rules).kept((EU, EU_B, US)) == kept


def test_expressions_are_anchored_and_a_dot_matches_a_newline() -> None:
    assert TsdbSelector([keep("a.b", "x")]).keeps((("x", "a\nb"),))
    assert not TsdbSelector([keep("a.b", "x")]).keeps((("x", "a\nb\n"),))


def test_hashmod_is_prometheus_and_leaves_the_label_set_as_it_was() -> None:
    # MD5 of "eu;a" ends in these eight bytes; Prometheus takes them as one number, big end first.
    number = int(hashlib.md5(b"eu;a").hexdigest()[16:], 16)
    mod = RelabelRule(
        action="hashmod", source_labels=("realm", "replica"), modulus=1000, target_label="shard"
    )
    for shard, kept in ((number % 1000, (EU,)), ((number + 1) % 1000, None)):
        assert TsdbSelector([mod, keep(str(shard), "shard")]).kept((EU,)) == kept
    # Each of three shards has its own part, and together they have all.
    sets = tuple((("realm", f"r{number}"),) for number in range(50))
    mod = RelabelRule(action="hashmod", source_labels=("realm",), modulus=3, target_label="shard")
    parts = [TsdbSelector([mod, keep(str(shard), "shard")]).kept(sets) or () for shard in range(3)]
    assert sorted(labels for part in parts for labels in part) == sorted(sets)
    assert all(10 <= len(part) <= 25 for part in parts)


def test_a_known_hash() -> None:
    """Printed by Prometheus 2.42 for a target with this label: `hashmod` of "eu" by 2^32."""
    mod = RelabelRule(action="hashmod", source_labels=("realm",), modulus=2**32, target_label="shard")
    assert TsdbSelector([mod, keep("1503818195", "shard")]).keeps((("realm", "eu"),))


def test_what_has_no_label_sets_cannot_be_judged() -> None:
    assert TsdbSelector([keep("eu", "realm")]).kept(()) == ()


def test_without_rules_all_is_kept_and_nothing_is_added() -> None:
    assert EVERY_TSDB.kept((EU,)) == (EU,)
    assert not EVERY_TSDB.restricting
    assert EVERY_TSDB.matchers((EU, US)) == []


def matcher(name: str, value: str, kind: LabelMatcherType = LabelMatcherType.RE) -> LabelMatcher:
    return LabelMatcher(type=kind, name=name, value=value)


def test_matchers_name_all_values_and_emptiness_where_one_is_lacking() -> None:
    selector = TsdbSelector([keep(".*", "realm")])
    assert selector.matchers((EU, EU_B, US)) == [matcher("realm", "eu|us"), matcher("replica", "^$|a|b")]
    assert selector.matchers((EU, EU)) == [matcher("realm", "eu"), matcher("replica", "a")]
    assert selector.matchers(()) == []
    found = compiled(selector.matchers((EU, US))[1])
    assert [found.matches(value) for value in ("", "a", "b")] == [True, True, False]


def test_values_are_matched_as_they_are() -> None:
    values = ["a+b", "x|y", "(", "[a]", "1.5", "$", "^", "back\\slash", "ünïcode", "a*", "{1}", "?"]
    selector = TsdbSelector([keep(".*", "v")])
    found = compiled(selector.matchers([(("v", value),) for value in values])[0])
    assert all(found.matches(value) for value in values)
    assert not any(found.matches(value) for value in ("aab", "x", "y", "1x5", "a", "", "aa"))


def chosen(selector: TsdbSelector, *views: tuple[str, tuple[Labels, ...], State]) -> Choice:
    snapshot = Snapshot(
        tuple(endpoint(address, *label_sets, state=state) for address, label_sets, state in views)
    )
    about = [compiled(matcher("realm", "eu|us"))]
    return choose(snapshot, about, 100, 200, frozenset({"replica"}), tsdb_selector=selector)


def test_endpoints_with_nothing_that_is_kept_are_neither_asked_nor_missing() -> None:
    found = chosen(
        TsdbSelector([keep("eu", "realm")]),
        ("both", (EU, US), State.HEALTHY),
        ("us", (US,), State.HEALTHY),
        ("lost-us", (US,), State.UNHEALTHY),
        ("no labels", (), State.HEALTHY),
        ("lost-ap", ((("realm", "ap"),),), State.UNHEALTHY),
    )
    assert [view.address for view in found.asked] == ["both", "no labels"]
    assert found.missing == ()
    assert list(found.matchers) == [matcher("realm", "eu"), matcher("replica", "a")]


def test_a_replica_covers_what_is_kept_of_another() -> None:
    lost = ("lost", (EU_B, US), State.UNHEALTHY)
    healthy = ("healthy", (EU,), State.HEALTHY)
    assert [view.address for view in chosen(EVERY_TSDB, healthy, lost).missing] == ["lost"]
    assert chosen(TsdbSelector([keep("eu", "realm")]), healthy, lost).missing == ()


def test_an_endpoint_that_never_answered_may_hold_anything() -> None:
    snapshot = Snapshot((endpoint("new", state=State.UNHEALTHY, known=False),))
    selector = TsdbSelector([keep("eu", "realm")])
    found = choose(snapshot, [], 100, 200, frozenset(), tsdb_selector=selector)
    assert [view.address for view in found.missing] == ["new"]
