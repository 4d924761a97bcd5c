"""`/labels`, `/label/NAME/values` and `/series` over made-up endpoints."""

from collections.abc import Sequence
from typing import Any

import pytest

from app.config.model import MissingEndpoints, QuerySettings
from app.config.query_options import PartialResponse, QueryOptions, TenancyOptions
from app.endpoints.model import EndpointView, State
from app.errors import CallError, Code
from app.fanout.wire import warning
from app.pb.thanos import (
    LabelMatcher,
    LabelMatcherType,
    LabelNamesRequest,
    LabelNamesResponse,
    LabelValuesRequest,
    LabelValuesResponse,
    PartialResponseStrategy,
    SeriesRequest,
)
from app.web.api.labels import unescaped
from app.web.api.parameters import MAX_TIME, MIN_TIME
from tests.unit.fanout.answers import FakeChannel, batch, series, view
from tests.unit.web.api.fakes import NOW, client

pytestmark = pytest.mark.anyio

LABELS = ["labels", "label/job/values"]


def naming(address: str, *names: str) -> EndpointView:
    """An endpoint with these names and values."""
    answer = bytes(LabelNamesResponse(names=list(names)))
    assert answer == bytes(LabelValuesResponse(values=list(names)))
    return view(address, FakeChannel(address, answer=answer))


def holding(address: str, *found: dict[str, str]) -> EndpointView:
    """An endpoint with these series."""
    blocks = [batch(*(series(tuple(each.items())) for each in found))] if found else []
    return view(address, FakeChannel(address, blocks))


def requests(found: EndpointView) -> list[bytes]:
    asked: list[bytes] = found.channel.requests  # type: ignore[attr-defined]
    return asked


async def get(
    path: str, parameters: Any, *views: EndpointView, settings: QuerySettings | None = None, status: int = 200
) -> dict[str, Any]:
    async with client(None, *views, settings=settings) as http:
        answer = await http.get(f"/api/v1/{path}", params=parameters)
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert ("cache-control" in answer.headers) == ("warnings" in body or status != 200)
    return body


def eq(name: str, value: str) -> LabelMatcher:
    return LabelMatcher(type=LabelMatcherType.EQ, name=name, value=value)


# -- names and values


@pytest.mark.parametrize("path", LABELS)
async def test_all_endpoints_together_sorted(path: str) -> None:
    found = await get(path, {}, naming("a:1", "x", "b"), naming("b:1", "a", "x"))
    assert found == {"status": "success", "data": ["a", "b", "x"]}


@pytest.mark.parametrize("path", LABELS)
async def test_nothing_is_a_list(path: str) -> None:
    assert await get(path, {}) == {"status": "success", "data": []}


async def test_what_endpoints_are_asked() -> None:
    one = naming("a:1", "x")
    await get("labels", {"start": "1", "end": "2.5", "match[]": 'up{job=~"a.*"}', "limit": "7"}, one)
    await get("label/job/values", {}, one)
    names, values = requests(one)
    assert LabelNamesRequest.parse(names) == LabelNamesRequest(
        start=1000,
        end=2500,
        matchers=[LabelMatcher(type=LabelMatcherType.RE, name="job", value="a.*"), eq("__name__", "up")],
        limit=8,
    )
    assert LabelValuesRequest.parse(values) == LabelValuesRequest(label="job", start=MIN_TIME, end=MAX_TIME)


@pytest.mark.parametrize("path", LABELS)
async def test_several_selectors_are_united(path: str) -> None:
    one = naming("a:1", "x")
    await get(path, [("match[]", "up"), ("match[]", "down")], one)
    assert len(requests(one)) == 2


@pytest.mark.parametrize("path", LABELS)
@pytest.mark.parametrize(
    ("limit", "data", "warned"),
    [
        ("2", ["a", "b"], True),
        ("3", ["a", "b", "c"], False),
        ("0", ["a", "b", "c"], False),
        ("9223372036854775807", ["a", "b", "c"], False),
    ],
)
async def test_a_limit_cuts_and_says_so(path: str, limit: str, data: list[str], warned: bool) -> None:
    found = await get(path, {"limit": limit}, naming("a:1", "c", "a"), naming("b:1", "b"))
    assert found["data"] == data
    assert found.get("warnings") == (["results truncated due to limit"] if warned else None)


@pytest.mark.parametrize("path", [*LABELS, "series"])
async def test_the_range_that_is_looked_up_in_by_default(path: str) -> None:
    settings = QuerySettings(query=QueryOptions(metadata_time_range=3600.0))
    one = naming("a:1", "x") if path != "series" else holding("a:1")
    await get(path, {"match[]": "up"}, one, settings=settings)
    await get(path, {"match[]": "up", "end": "1700000100"}, one, settings=settings)
    now = round(NOW * 1000)
    kind: Any = {"labels": LabelNamesRequest, "series": SeriesRequest}.get(path, LabelValuesRequest)
    times = [
        (each.min_time, each.max_time) if path == "series" else (each.start, each.end)
        for each in map(kind.parse, requests(one))
    ]
    assert times == [(now - 3_600_000, now), (now - 3_600_000, 1_700_000_100_000)]


@pytest.mark.parametrize("path", [*LABELS, "series"])
@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"start": "x"}, "Invalid time value for 'start': cannot parse \"x\" to a valid timestamp"),
        ({"start": "2", "end": "1"}, "end timestamp must not be before start time"),
        ({"limit": "-1"}, "limit must be non-negative"),
        ({"limit": "1.5"}, 'cannot parse "1.5" to a valid limit'),
        ({"limit": "9223372036854775808"}, 'cannot parse "9223372036854775808" to a valid limit'),
        ({"partial_response": "x"}, "'partial_response' parameter: cannot parse \"x\" to a valid bool"),
        ({"match[]": "{"}, "1:2: parse error: unexpected end of input inside braces"),
        ({"storeMatch[]": "a b"}, "store matcher 'a b': 1:3: parse error: unexpected identifier \"b\""),
        ({"match[]": 'up{a=~"("}'}, ""),
    ],
)
async def test_bad_parameters(path: str, parameters: dict[str, str], error: str) -> None:
    body = await get(path, {"match[]": "up"} | parameters, naming("a:1", "x"), status=400)
    assert (body["status"], body["errorType"]) == ("error", "bad_data")
    assert body["error"] == error or not error


@pytest.mark.parametrize("name", ["match[]", "storeMatch[]"])
async def test_selectors_without_end(name: str) -> None:
    async with client() as http:
        answer = await http.post("/api/v1/labels", data={name: ["up"] * 1001})
    assert (answer.status_code, answer.json()["error"]) == (400, f"more than 1000 {name} parameters")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("label/U__http_2e_status__code/values", "http.status_code"),
        ("label/U__a__b/values", "a_b"),
        ("label/__name__/values", "__name__"),
        ("label/ä/values", "ä"),
        ("label/a%20b/values", "a b"),
    ],
)
async def test_names_in_paths(path: str, name: str) -> None:
    one = naming("a:1", "x")
    await get(path, {}, one)
    assert LabelValuesRequest.parse(requests(one)[0]).label == name


@pytest.mark.parametrize(
    ("escaped", "name"),
    [
        ("job", "job"),
        ("U__a_2e_b_1f600_", "a.b\U0001f600"),
        ("U__", ""),
        ("U___", "U___"),
        ("U__a_", "U__a_"),
        ("U__a_zz_", "U__a_zz_"),
        ("U__a_110000_", "U__a_110000_"),
        ("U__a_d800_", "U__a_d800_"),
        ("U__a_0000041_", "U__a_0000041_"),
        ("U____", "_"),
        ("_2e_", "_2e_"),
    ],
)
def test_escaped_names(escaped: str, name: str) -> None:
    assert unescaped(escaped) == name


async def test_a_name_that_is_none() -> None:
    assert (await get("label/U__/values", {}, status=400))["error"] == 'invalid label name: ""'


# -- series


async def test_series_of_all_endpoints_together() -> None:
    found = await get(
        "series",
        {"match[]": "up"},
        holding("a:1", {"__name__": "up", "job": "b"}, {"__name__": "up", "job": "d"}),
        holding("b:1", {"__name__": "up", "job": "a"}, {"__name__": "up", "job": "b"}),
    )
    assert found == {
        "status": "success",
        "data": [{"__name__": "up", "job": job} for job in ("a", "b", "d")],
    }


async def test_what_endpoints_are_asked_for_series() -> None:
    one = holding("a:1")
    settings = QuerySettings(replica_labels=("replica",))
    assert (await get("series", {"match[]": "up", "limit": "5"}, one, settings=settings))["data"] == []
    await get("series", {"match[]": "up", "dedup": "0"}, one, settings=settings)
    await get("series", {"match[]": "up", "replicaLabels[]": "r"}, one, settings=settings)
    first, second, third = [SeriesRequest.parse(each) for each in requests(one)]
    assert (first.matchers, first.skip_chunks, first.limit) == ([eq("__name__", "up")], True, 6)
    assert (first.min_time, first.max_time, first.max_resolution_window) == (MIN_TIME, MAX_TIME, 2**63 - 1)
    assert [each.without_replica_labels for each in (first, second, third)] == [["replica"], [], ["r"]]


async def test_series_of_several_selectors_are_each_there_once() -> None:
    settings = QuerySettings(query=QueryOptions(series_limit=2))
    one = holding("a:1", {"a": "1"}, {"a": "2"})
    found = await get("series", [("match[]", "up"), ("match[]", "down")], one, settings=settings)
    assert found["data"] == [{"a": "1"}, {"a": "2"}]


async def test_strange_labels_survive() -> None:
    labels = {"a\0b": "c\0\1d", "ä.b": '"<\U0001f600'}
    assert (await get("series", {"match[]": "up"}, holding("a:1", labels)))["data"] == [labels]


async def test_many_series() -> None:
    found = [{"__name__": "up", "instance": f"{number:05}" * 10} for number in range(5000)]
    assert (await get("series", {"match[]": "up"}, holding("a:1", *found)))["data"] == found


async def test_a_limit_of_series() -> None:
    one = holding("a:1", *({"a": str(number)} for number in range(5)))
    found = await get("series", {"match[]": "up", "limit": "3"}, one)
    assert (len(found["data"]), found["warnings"]) == (3, ["results truncated due to limit"])


async def test_the_limit_of_the_flags_fails_the_call() -> None:
    settings = QuerySettings(query=QueryOptions(series_limit=4))
    one = holding("a:1", *({"a": str(number)} for number in range(5)))
    body = await get("series", {"match[]": "up"}, one, settings=settings, status=422)
    assert (body["errorType"], body["error"]) == (
        "execution",
        "exceeded the limit of 4 series (--store.limits.request-series)",
    )


async def test_series_need_a_selector() -> None:
    assert (await get("series", {}, status=400))["error"] == "no match[] parameter provided"


async def test_endpoints_warnings_are_passed_on() -> None:
    one = view("a:1", FakeChannel("a:1", [warning("half of it is missing")]))
    found = await get("series", {"match[]": "up"}, one)
    assert len(found["warnings"]) == 1 and "half of it is missing" in found["warnings"][0]


# -- partial response


def broken(path: str) -> Sequence[EndpointView]:
    ill = view("b:1", labels=(("a", "b"),), state=State.UNHEALTHY)
    return (holding("a:1", {"a": "1"}) if path == "series" else naming("a:1", "x")), ill


@pytest.mark.parametrize("path", [*LABELS, "series"])
async def test_what_is_missing_is_a_warning_or_an_error(path: str) -> None:
    parameters = {"match[]": "up"}
    found = await get(path, parameters, *broken(path))
    assert found["data"] and len(found["warnings"]) == 1
    assert "eu/b:1" in found["warnings"][0] and "certificate expired" in found["warnings"][0]
    strict = QuerySettings(query=QueryOptions(partial_response=PartialResponse(query=False)))
    for more, settings in (({"partial_response": "false"}, None), ({}, strict)):
        body = await get(path, parameters | more, *broken(path), settings=settings, status=422)
        assert body["errorType"] == "execution" and "eu/b:1" in body["error"]
    await get(path, parameters | {"partial_response": "1"}, *broken(path), settings=strict)
    error = QuerySettings(missing_endpoints=MissingEndpoints.ERROR)
    await get(path, parameters, *broken(path), settings=error, status=422)


async def test_the_strategy_reaches_the_endpoints() -> None:
    one, other = naming("a:1", "x"), holding("b:1", {"a": "1"})
    await get("labels", {"partial_response": "false"}, one)
    await get("series", {"match[]": "up", "partial_response": "false"}, other)
    names, found = LabelNamesRequest.parse(requests(one)[0]), SeriesRequest.parse(requests(other)[0])
    for each in (names, found):
        assert each.partial_response_disabled
        assert each.partial_response_strategy is PartialResponseStrategy.ABORT


async def test_an_endpoint_that_fails_is_a_warning() -> None:
    one = view("a:1", FakeChannel("a:1", [CallError(Code.UNAVAILABLE, "connection lost")]))
    found = await get("series", {"match[]": "up"}, one)
    assert found["data"] == [] and "connection lost" in found["warnings"][0]


# -- store matchers, tenants


@pytest.mark.parametrize("path", [*LABELS, "series"])
async def test_only_the_endpoints_that_the_client_wants(path: str) -> None:
    views = [
        holding(f"{name}:1", {"n": name}) if path == "series" else naming(f"{name}:1", name) for name in "abc"
    ]
    parameters = [("match[]", "up"), ("storeMatch[]", '{__address__="a:1"}')]
    parameters += [("storeMatch[]", '{__address__=~"c.*",other="x"}')]
    found = await get(path, parameters, *views)
    assert found["data"] == ([{"n": "a"}, {"n": "c"}] if path == "series" else ["a", "c"])
    assert "warnings" not in found


@pytest.mark.parametrize("path", [*LABELS, "series"])
async def test_a_tenant_sees_its_own(path: str) -> None:
    one = holding("a:1") if path == "series" else naming("a:1", "x")
    tenancy = TenancyOptions(enforced=True, label="team", default="me")
    settings = QuerySettings(query=QueryOptions(tenancy=tenancy))
    await get(path, {"match[]": 'up{team="other",a="b"}'}, one, settings=settings)
    if path != "series":
        await get(path, {}, one, settings=settings)
    kind: Any = {"labels": LabelNamesRequest, "series": SeriesRequest}.get(path, LabelValuesRequest)
    found = [kind.parse(each).matchers for each in requests(one)]
    assert found[0] == [eq("a", "b"), eq("__name__", "up"), eq("team", "me")]
    assert found[1:] == ([] if path == "series" else [[eq("team", "me")]])


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("labels", False),
        ("label/job/values", False),
        ("label/realm/values", False),
        ("label/replica/values", True),
        ("label/other/values", False),
    ],
)
async def test_a_replica_stands_in_for_one_that_is_ill(path: str, missing: bool) -> None:
    answer = bytes(LabelNamesResponse(names=["x"]))
    well = view("a:1", FakeChannel("a:1", answer=answer), labels=(("realm", "eu"), ("replica", "a")))
    ill = view("b:1", labels=(("realm", "eu"), ("replica", "b")), state=State.UNHEALTHY)
    settings = QuerySettings(replica_labels=("replica",))
    found = await get(path, {}, well, ill, settings=settings)
    assert ("warnings" in found) is missing
    status = 422 if missing else 200
    await get(path, {"partial_response": "false"}, well, ill, settings=settings, status=status)
    other = view("c:1", labels=(("realm", "us"), ("replica", "a")), state=State.UNHEALTHY)
    assert "b:1" not in str(await get("labels", {}, well, ill, other, settings=settings))
    assert "c:1" in str(await get("labels", {}, well, ill, other, settings=settings))
