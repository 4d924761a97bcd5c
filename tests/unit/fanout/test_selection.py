"""Which endpoints a request needs, and which it misses."""

import pytest
from prometheus_client import CollectorRegistry

from app.config.model import MissingEndpoints
from app.endpoints.model import Api, EndpointInfo, EndpointView, Labels, Snapshot, State
from app.errors import CallError, Code
from app.fanout.metrics import FanoutMetrics
from app.fanout.partial import Warnings, report_missing
from app.fanout.selection import Choice, against_selector, choose, compiled
from app.pb.thanos import LabelMatcher, LabelMatcherType
from tests.unit.fanout.answers import FakeChannel

EU: Labels = (("realm", "eu"), ("replica", "a"))
EU_B: Labels = (("realm", "eu"), ("replica", "b"))
US: Labels = (("realm", "us"),)


def endpoint(
    address: str,
    *label_sets: Labels,
    state: State = State.HEALTHY,
    strict: bool = False,
    times: tuple[int, int] = (100, 200),
    known: bool = True,
    apis: frozenset[Api] = frozenset({Api.STORE}),
) -> EndpointView:
    info = EndpointInfo(
        component="sidecar", label_sets=label_sets, min_time=times[0], max_time=times[1], apis=apis
    )
    return EndpointView(
        group="eu",
        address=address,
        channel=FakeChannel(address),  # type: ignore[arg-type]
        strict=strict,
        state=state,
        info=info if known else None,
        since=0,
        last_check=0,
        last_error="" if state is State.HEALTHY else "certificate expired",
    )


def matcher(name: str, value: str, kind: LabelMatcherType = LabelMatcherType.EQ) -> LabelMatcher:
    return LabelMatcher(type=kind, name=name, value=value)


def chosen(
    *views: EndpointView,
    matchers: tuple[LabelMatcher, ...] = (),
    times: tuple[int, int] = (100, 200),
    replica_labels: frozenset[str] = frozenset(),
) -> tuple[list[str], list[str]]:
    found = choose(Snapshot(views), [compiled(each) for each in matchers], *times, replica_labels)
    return [view.address for view in found.asked], [view.address for view in found.missing]


@pytest.mark.parametrize(
    ("kind", "value", "matches"),
    [
        (LabelMatcherType.EQ, "eu", True),
        (LabelMatcherType.EQ, "us", False),
        (LabelMatcherType.NEQ, "us", True),
        (LabelMatcherType.NEQ, "eu", False),
        (LabelMatcherType.RE, "e.", True),
        (LabelMatcherType.RE, "e", False),
        (LabelMatcherType.RE, "e|eu", True),
        (LabelMatcherType.RE, ".*\n?", True),
        (LabelMatcherType.NRE, "e.", False),
        (LabelMatcherType.NRE, "e", True),
    ],
)
def test_external_labels_decide_as_prometheus_matches(
    kind: LabelMatcherType, value: str, matches: bool
) -> None:
    assert chosen(endpoint("a:1", EU), matchers=(matcher("realm", value, kind),)) == (["a:1"] * matches, [])


def test_a_dot_matches_a_newline_and_expressions_take_linear_time() -> None:
    assert compiled(matcher("a", "x.y", LabelMatcherType.RE)).matches("x\ny")
    assert not compiled(matcher("a", "(x+x+)+y", LabelMatcherType.RE)).matches("x" * 20_000)


def test_a_label_set_speaks_only_of_its_own_names() -> None:
    assert chosen(endpoint("a:1", EU), matchers=(matcher("job", "x"),)) == (["a:1"], [])
    assert chosen(endpoint("a:1"), matchers=(matcher("realm", "x"),)) == (["a:1"], [])
    assert chosen(endpoint("a:1", EU, US), matchers=(matcher("realm", "us"),)) == (["a:1"], [])


@pytest.mark.parametrize(
    ("times", "matches"), [((0, 99), False), ((0, 100), True), ((200, 300), True), ((201, 300), False)]
)
def test_time_ranges_include_their_ends(times: tuple[int, int], matches: bool) -> None:
    assert chosen(endpoint("a:1", EU), times=times)[0] == ["a:1"] * matches


def test_only_stores_are_asked() -> None:
    assert chosen(endpoint("a:1", EU, apis=frozenset({Api.RULES}))) == ([], [])


def test_strict_endpoints_are_asked_whatever_their_state() -> None:
    assert chosen(endpoint("a:1", EU, state=State.UNHEALTHY, strict=True)) == (["a:1"], [])
    assert chosen(endpoint("a:1", state=State.UNHEALTHY, strict=True, known=False)) == (["a:1"], [])


def test_what_an_unhealthy_endpoint_could_have_held_is_missing() -> None:
    lost = endpoint("a:1", EU, state=State.UNHEALTHY)
    assert chosen(lost) == ([], ["a:1"])
    assert chosen(lost, matchers=(matcher("realm", "us"),)) == ([], [])
    assert chosen(lost, times=(300, 400)) == ([], [])
    assert chosen(endpoint("b:1", state=State.UNHEALTHY, known=False)) == ([], ["b:1"])


def test_a_healthy_replica_stands_in() -> None:
    lost, there = endpoint("a:1", EU, state=State.UNHEALTHY), endpoint("b:1", EU_B)
    assert chosen(lost, there, replica_labels=frozenset({"replica"})) == (["b:1"], [])
    assert chosen(lost, there) == (["b:1"], ["a:1"])
    strict = endpoint("b:1", EU_B, state=State.UNHEALTHY, strict=True)
    assert chosen(lost, strict, replica_labels=frozenset({"replica"})) == (["b:1"], ["a:1"])


def test_selector_labels_answer_for_their_own_names() -> None:
    matchers = [compiled(matcher("cluster", "observer")), compiled(matcher("job", "x"))]
    assert against_selector(matchers, (("cluster", "observer"),)).remaining == (1,)
    assert not against_selector(matchers, (("cluster", "other"),)).matches


def test_policies_for_what_is_missing() -> None:
    choice = Choice((), (endpoint("a:1", EU, state=State.UNHEALTHY),))
    metrics = FanoutMetrics(CollectorRegistry())
    warnings = Warnings(abort=False)
    report_missing(choice, MissingEndpoints.IGNORE, warnings, metrics, "Series")
    assert warnings.all == []
    report_missing(choice, MissingEndpoints.WARN, warnings, metrics, "Series")
    assert len(warnings.all) == 1
    for part in ("eu/a:1", "certificate expired"):
        assert part in warnings.all[0]
    with pytest.raises(CallError) as caught:
        report_missing(choice, MissingEndpoints.ERROR, warnings, metrics, "Series")
    assert caught.value.code is Code.UNAVAILABLE
    with pytest.raises(CallError) as caught:
        report_missing(choice, MissingEndpoints.WARN, Warnings(abort=True), metrics, "Series")
    assert caught.value.code is Code.ABORTED


@pytest.mark.parametrize(
    ("store_matchers", "wanted"),
    [
        ((), ["a:1", "b:1", "c:1"]),
        (((("__address__", "a:1"),),), ["a:1"]),
        (((("__address__", "a:1"),), (("__address__", "c:1"),)), ["a:1", "c:1"]),
        (((("__address__", "a:1"), ("__address__", "b:1")),), []),
        (((("realm", "us"),),), ["a:1", "b:1", "c:1"]),
    ],
)
def test_the_client_may_name_the_endpoints_it_wants(
    store_matchers: tuple[tuple[tuple[str, str], ...], ...], wanted: list[str]
) -> None:
    views = (endpoint("a:1", EU), endpoint("b:1", US), endpoint("c:1", known=False, state=State.UNHEALTHY))
    sets = [tuple(compiled(matcher(*each)) for each in every) for every in store_matchers]
    found = choose(Snapshot(views), (), 100, 200, frozenset(), store_matchers=sets)
    assert [view.address for view in (*found.asked, *found.missing)] == wanted
