"""`/query` and `/query_range`: what the engine is asked, and how it is answered."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import numpy as np
import pytest

from app.config.model import QuerySettings
from app.config.query_options import PartialResponse, QueryOptions, TenancyOptions
from app.engine.histogram.model import FloatHistogram
from app.engine.model import EvaluationError, Matrix, Row, Sample, Scalar, String, Value, Vector, WrongKind
from app.engine.request import Answer, Columnar, QueryCanceled, QueryRequest, QueryTimeout
from app.errors import CallError, Code
from app.pb.thanos import ShardInfo
from app.web.api import encoding
from app.web.departure import Departure
from tests.unit.web.api.fakes import NOW, FakeEngine, client, site

pytestmark = pytest.mark.anyio

RANGE = {"query": "up", "start": "100", "end": "200", "step": "10"}


def row(labels: dict[str, str], *points: tuple[int, float], **more: Any) -> Row:
    times, values = [time for time, _ in points], [value for _, value in points]
    return Row(tuple(labels.items()), np.array(times, np.int64), np.array(values, np.float64), **more)


async def asked(path: str, parameters: Any, settings: QuerySettings | None = None) -> QueryRequest:
    """What the engine is asked for these parameters."""
    engine = FakeEngine()
    async with client(engine, settings=settings) as http:
        answer = await http.get(f"/api/v1/{path}", params=parameters)
        assert answer.status_code == 200, answer.text
    (request,) = engine.requests
    return request


async def refused(path: str, parameters: Any, settings: QuerySettings | None = None) -> str:
    """The text of a 400."""
    engine = FakeEngine()
    async with client(engine, settings=settings) as http:
        answer = await http.get(f"/api/v1/{path}", params=parameters)
    assert answer.status_code == 400
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert (set(body), body["status"], body["errorType"]) == (
        {"status", "errorType", "error"},
        "error",
        "bad_data",
    )
    assert engine.requests == []
    return str(body["error"])


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (Scalar(1500, 1e-7), '"scalar","result":[1.5,"0.0000001"]'),
        (String(2000, 'a"<b'), r'"string","result":[2,"a\"<b"]'),
        (String(2000, "é\udcff"), '"string","result":[2,"é\ufffd"]'),
        (
            Vector([Sample((("a", "\udcff"), ("b\udcc3", "é")), 1.0, 0)]),
            '"vector","result":[{"metric":{"a":"\ufffd","b\ufffd":"é"},"value":[0,"1"]}]',
        ),
        (Vector([]), '"vector","result":[]'),
        (
            Vector([Sample((("__name__", "up"), ("job", "ä")), 1e-7, 1500), Sample((), 2.0, 1000)]),
            '"vector","result":[{"metric":{"__name__":"up","job":"ä"},"value":[1.500,"1e-07"]},'
            '{"metric":{},"value":[1,"2"]}]',
        ),
        (Matrix([]), '"matrix","result":[]'),
        (
            Matrix([row({"a": "1"}, (1000, 1.0), (1500, float("inf"))), row({"a": "2"}, (0, -0.0))]),
            '"matrix","result":[{"metric":{"a":"1"},"values":[[1,"1"],[1.500,"+Inf"]]},'
            '{"metric":{"a":"2"},"values":[[0,"-0"]]}]',
        ),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Value) else "",
)
async def test_values_are_written_byte_for_byte(value: Value, result: str) -> None:
    async with client(FakeEngine(value)) as http:
        answer = await http.get("/api/v1/query", params={"query": "up"})
    assert answer.text == f'{{"status":"success","data":{{"resultType":{result},"analysis":{{}}}}}}'
    assert answer.headers["content-type"] == "application/json"
    assert "cache-control" not in answer.headers


async def test_histograms_stand_beside_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "histogram_json", lambda histogram: b'{"count":"%d"}' % histogram.count)
    h = FloatHistogram(count=3.0)
    vector = Vector([Sample((), h, 1000)])
    mixed = row({}, (1000, 1.0), (2000, 0.0), (3000, 3.0), (4500, 0.0), histograms={1: h, 3: h})
    only = row({}, (2000, 0.0), histograms={0: h})
    assert b"".join(encoding.result(vector)) == b'[{"metric":{},"histogram":[1,{"count":"3"}]}]'
    assert b"".join(encoding.result(Matrix([mixed, only]))) == (
        b'[{"metric":{},"values":[[1,"1"],[3,"3"]],"histograms":[[2,{"count":"3"}],[4.500,{"count":"3"}]]},'
        b'{"metric":{},"histograms":[[2,{"count":"3"}]]}]'
    )


async def test_a_large_matrix_is_streamed_whole() -> None:
    points = [(time * 1000, time / 7) for time in range(11_000)]
    matrix = Matrix([row({"n": str(number)}, *points) for number in range(5)])
    async with client(FakeEngine(matrix)) as http:
        answer = await http.get("/api/v1/query_range", params=RANGE)
    assert "content-length" not in answer.headers
    assert answer.headers["content-encoding"] == "gzip"
    result = answer.json()["data"]["result"]
    assert [each["metric"]["n"] for each in result] == ["0", "1", "2", "3", "4"]
    assert all(each["values"] == [[t / 1000, encoding.number(v)] for t, v in points] for each in result)


def test_pieces_are_of_bounded_size() -> None:
    matrix = Matrix([row({}, *[(time, 0.1 + time) for time in range(50_000)])])
    assert max(map(len, encoding.query_data(matrix, None))) < 128 * 1024
    assert max(map(len, encoding.blocks(encoding.query_data(matrix, None)))) < 256 * 1024


async def test_an_instant_query_is_about_now_by_default() -> None:
    request = await asked("query", {"query": "up"})
    assert (request.start, request.end, request.step) == (round(NOW * 1000),) * 2 + (0,)
    assert request.timeout == pytest.approx(120, abs=1)
    assert (request.lookback, request.stats) == (300_000, False)
    select = request.select
    assert (select.dedup, select.abort, select.max_resolution, select.replica_labels) == (True, False, 0, ())
    assert request.metadata == {"thanos-tenant": "default-tenant"}
    assert request.enforced == ()


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("4", 4000),
        ("1.0006", 1001),
        ("-1.5", -1500),
        ("1e3", 1_000_000),
        ("1970-01-01T00:00:01Z", 1000),
        ("1970-01-01T01:00:01.123456+01:00", 1123),
        ("1969-12-31T23:00:00-01:00", 0),
        ("2015-07-01T20:10:51.781Z", 1435781451781),
    ],
)
async def test_times(text: str, time: int) -> None:
    assert (await asked("query", {"query": "up", "time": text})).start == time


@pytest.mark.parametrize(
    "text", ["x", "NaN", "Inf", "1_0", "1e400", "1e19", "2015-13-01T00:00:00Z", "2015-07-01", "9" * 500, " 1"]
)
async def test_bad_times(text: str) -> None:
    error = await refused("query", {"query": "up", "time": text})
    assert error.startswith("Invalid time value for 'time': cannot parse ")
    assert error.endswith(" to a valid timestamp")


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"start": ""}, 'cannot parse "" to a valid timestamp'),
        ({"end": "x"}, 'cannot parse "x" to a valid timestamp'),
        ({"end": "99"}, "end timestamp must not be before start time"),
        ({"step": "x"}, "'step' parameter: cannot parse \"x\" to a valid duration"),
        (
            {"step": "1e300"},
            "'step' parameter: cannot parse \"1e300\" to a valid duration. It overflows int64",
        ),
        (
            {"step": "0"},
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ),
        (
            {"step": "-1"},
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ),
        (
            {"end": "11101", "step": "1"},
            "exceeded maximum resolution of 11,000 points per timeseries."
            " Try decreasing the query resolution (?step=XX)",
        ),
        ({"timeout": "soon"}, 'cannot parse "soon" to a valid duration'),
        ({"dedup": "maybe"}, "'dedup' parameter: cannot parse \"maybe\" to a valid bool"),
        (
            {"partial_response": "2"},
            "'partial_response' parameter: cannot parse \"2\" to a valid bool",
        ),
        (
            {"max_source_resolution": "-1"},
            "negative 'max_source_resolution' is not accepted. Try a positive integer",
        ),
        (
            {"max_source_resolution": "x"},
            "'max_source_resolution' parameter: cannot parse \"x\" to a valid duration",
        ),
        ({"lookback_delta": "x"}, "'lookback_delta' parameter: cannot parse \"x\" to a valid duration"),
        ({"engine": "mimir"}, "'mimir' bad engine"),
        ({"limit": "-1"}, "limit must be non-negative"),
        ({"limit": "x"}, 'cannot parse "x" to a valid limit'),
        ({"storeMatch[]": "{"}, "store matcher '{': 1:2: parse error: unexpected end of input inside braces"),
    ],
)
async def test_bad_parameters(parameters: dict[str, str], error: str) -> None:
    assert await refused("query_range", RANGE | parameters) == error


async def test_as_many_steps_as_are_allowed() -> None:
    request = await asked("query_range", RANGE | {"end": "11100", "step": "1"})
    assert (request.start, request.end, request.step) == (100_000, 11_100_000, 1000)


@pytest.mark.parametrize(
    ("step", "milliseconds"), [("15", 15_000), ("0.5", 500), ("1m30s", 90_000), ("1d", 86_400_000)]
)
async def test_steps(step: str, milliseconds: int) -> None:
    assert (await asked("query_range", RANGE | {"step": step})).step == milliseconds


@pytest.mark.parametrize(("end", "step"), [("100", 1000), ("350", 1000), ("3700", 14_000)])
async def test_the_default_step_makes_250(end: str, step: int) -> None:
    assert (await asked("query_range", RANGE | {"end": end, "step": ""})).step == step


async def test_the_default_step_is_no_less_than_the_flags() -> None:
    settings = QuerySettings(query=QueryOptions(default_step=30.0))
    assert (await asked("query_range", RANGE | {"step": ""}, settings)).step == 30_000


@pytest.mark.parametrize(
    ("given", "automatic", "resolution"),
    [
        ("", False, 0),
        ("auto", False, 120_000),
        ("", True, 120_000),
        ("5m", True, 300_000),
        ("1h", False, 3_600_000),
        ("0", True, 0),
    ],
)
async def test_the_resolution_of_downsampled_data(given: str, automatic: bool, resolution: int) -> None:
    settings = QuerySettings(query=QueryOptions(auto_downsampling=automatic))
    parameters = {"query": "up", "start": "0", "end": "6000", "step": "600", "max_source_resolution": given}
    assert (await asked("query_range", parameters, settings)).select.max_resolution == resolution


async def test_auto_of_an_instant_query_is_the_flags() -> None:
    settings = QuerySettings(query=QueryOptions(instant_resolution=3600.0))
    request = await asked("query", {"query": "up", "max_source_resolution": "auto"}, settings)
    assert (request.select.max_resolution, request.lookback) == (3_600_000, 3_600_000)


@pytest.mark.parametrize(
    ("flag", "dynamic", "resolution", "given", "lookback"),
    [
        (300.0, True, "", "", 300_000),
        (300.0, True, "5m", "", 300_000),
        (300.0, True, "301", "", 3_600_000),
        (60.0, True, "", "", 60_000),
        (60.0, True, "2m", "", 300_000),
        (600.0, True, "10m", "", 600_000),
        (600.0, True, "11m", "", 3_600_000),
        (60.0, False, "1h", "", 60_000),
        (300.0, True, "1h", "90s", 90_000),
        (300.0, True, "", "0", 300_000),
    ],
)
async def test_lookback(flag: float, dynamic: bool, resolution: str, given: str, lookback: int) -> None:
    settings = QuerySettings(query=QueryOptions(lookback=flag, dynamic_lookback=dynamic))
    parameters = RANGE | {"max_source_resolution": resolution, "lookback_delta": given}
    assert (await asked("query_range", parameters, settings)).lookback == lookback


async def test_the_flags_reach_the_engine() -> None:
    options = QueryOptions(
        timeout=9.0,
        chain=True,
        series_limit=5,
        samples_limit=6,
        partial_response=PartialResponse(query=False),
    )
    request = await asked("query", {"query": "up"}, QuerySettings(query=options, replica_labels=("a", "b")))
    select = request.select
    assert (select.chain, select.series_limit, select.samples_limit) == (True, 5, 6)
    assert (select.abort, select.replica_labels) == (True, ("a", "b"))
    assert request.timeout == pytest.approx(9, abs=1)


async def test_parameters_override_the_flags() -> None:
    options = QueryOptions(timeout=9.0, partial_response=PartialResponse(query=False))
    parameters = [
        ("query", "up"),
        ("timeout", "500ms"),
        ("dedup", "false"),
        ("replicaLabels[]", "c"),
        ("replicaLabels[]", "d"),
        ("partial_response", "true"),
        ("storeMatch[]", '{__address__="a:1"}'),
        ("storeMatch[]", '{__address__=~"b.*"}'),
        ("shard_info", '{"shard_index":1,"total_shards":2,"by":true,"labels":["x"]}'),
        ("stats", "all"),
        ("engine", "thanos"),
    ]
    request = await asked("query", parameters, QuerySettings(query=options, replica_labels=("a",)))
    select = request.select
    assert request.timeout == pytest.approx(0.5, abs=0.1)
    assert (select.dedup, select.replica_labels, select.abort) == (False, ("c", "d"), False)
    assert select.store_matchers == ('{__address__="a:1"}', '{__address__=~"b.*"}')
    assert ShardInfo.parse(select.shard_info) == ShardInfo(
        shard_index=1, total_shards=2, by=True, labels=["x"]
    )
    assert request.stats


async def test_no_query_takes_longer_than_the_flag_says() -> None:
    settings = QuerySettings(query=QueryOptions(timeout=9.0))
    request = await asked("query", {"query": "up", "timeout": "1h"}, settings)
    assert request.timeout == pytest.approx(9, abs=1)


@pytest.mark.parametrize("timeout", ["0", "-1"])
async def test_who_gives_no_time_gets_no_answer(timeout: str) -> None:
    engine = FakeEngine()
    async with client(engine) as http:
        answer = await http.get("/api/v1/query", params={"query": "1", "timeout": timeout})
    assert (answer.status_code, answer.json()["error"]) == (503, "query timed out in query queue")
    assert engine.requests == []


@pytest.mark.parametrize("info", ["x", "[]", '{"shard_index":"a"}', '{"labels":[1]}'])
async def test_bad_shard_info(info: str) -> None:
    error = await refused("query", {"query": "up", "shard_info": info})
    assert error.startswith("could not unmarshal parameter shard_info: ")


@pytest.mark.parametrize("info", ["null", "{}", '{"shard_index":null,"total_shards":null,"labels":null}'])
async def test_null_is_no_shard(info: str) -> None:
    request = await asked("query", {"query": "up", "shard_info": info})
    assert ShardInfo.parse(request.select.shard_info) == ShardInfo()


async def test_bodies_stand_before_urls() -> None:
    engine = FakeEngine()
    async with client(engine) as http:
        answer = await http.post(
            "/api/v1/query",
            params={"query": "url", "time": "5", "replicaLabels[]": "u"},
            data={"query": "body", "replicaLabels[]": "b"},
        )
        assert answer.status_code == 200
        raw = await http.post(
            "/api/v1/query",
            content="query=ä&time=7".encode(),
            headers={"content-type": "application/x-www-form-urlencoded; charset=utf-8"},
        )
        assert raw.status_code == 400  # it is read as it is meant, and is no PromQL
        assert "ä" in raw.json()["error"]
    first, second = engine.requests
    assert (first.text, first.start, first.select.replica_labels) == ("body", 5000, ("b", "u"))
    assert (second.text, second.start) == ("ä", 7000)


async def test_a_form_has_a_limit() -> None:
    async with client() as http:
        answer = await http.post("/api/v1/query", data={"query": "x" * (11 << 20)})
    assert (answer.status_code, answer.json()["errorType"]) == (400, "bad_data")


async def test_a_parse_error_has_its_position() -> None:
    async with client() as http:
        answer = await http.get("/api/v1/query", params={"query": "up +"})
    assert answer.status_code == 400
    assert answer.json() == {
        "status": "error",
        "errorType": "bad_data",
        "error": "1:5: parse error: unexpected end of input",
    }


@pytest.mark.parametrize(
    ("error", "status", "kind", "text"),
    [
        (EvaluationError("vector cannot contain"), 422, "execution", "vector cannot contain"),
        (WrongKind("no range of it"), 400, "bad_data", "no range of it"),
        (QueryTimeout(), 503, "timeout", "query timed out in expression evaluation"),
        (QueryTimeout("query timed out in x"), 503, "timeout", "query timed out in x"),
        (QueryCanceled(), 503, "canceled", "query was canceled in expression evaluation"),
        (CallError(Code.ABORTED, "eu/a:1 is gone"), 422, "execution", "eu/a:1 is gone"),
        (CallError(Code.INVALID_ARGUMENT, "no matchers"), 400, "bad_data", "no matchers"),
        (RuntimeError("secret"), 500, "internal", "internal error; the log of the querier has more"),
    ],
)
async def test_errors_have_a_type_and_a_status(error: Exception, status: int, kind: str, text: str) -> None:
    engine = FakeEngine()
    engine.error = error
    async with client(engine) as http:
        answer = await http.get("/api/v1/query", params={"query": "up"})
    assert answer.status_code == status
    assert answer.json() == {"status": "error", "errorType": kind, "error": text}
    assert answer.headers["cache-control"] == "no-store"


async def test_annotations_are_warnings_that_may_be_cached() -> None:
    engine = FakeEngine()
    engine.annotations.info("metric might not be a counter")
    engine.annotations.warn("quantile value should be between 0 and 1")
    async with client(engine) as http:
        answer = await http.get("/api/v1/query", params={"query": "up"})
        assert "cache-control" not in answer.headers
        assert answer.json()["warnings"] == [
            "PromQL warning: quantile value should be between 0 and 1",
            "PromQL info: metric might not be a counter",
        ]
        assert "infos" not in answer.json()
        engine.warnings = ["eu/a:1 is missing"]
        answer = await http.get("/api/v1/query", params={"query": "up"})
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json()["warnings"][0] == "eu/a:1 is missing"


async def test_stats_and_analysis() -> None:
    engine = FakeEngine()
    async with client(engine) as http:
        plain = (await http.get("/api/v1/query", params={"query": "up"})).json()
        assert (set(plain["data"]), plain["data"]["analysis"]) == ({"resultType", "result", "analysis"}, {})
        engine.stats = {"timings": {"evalTotalTime": 0.5}}
        full = (await http.get("/api/v1/query", params={"query": "up", "stats": "all"})).json()
        assert full["data"]["stats"] == engine.stats
        engine.stats, engine.analysis = None, {"name": "[query]", "executionTime": "1ms"}
        analyzed = (await http.get("/api/v1/query", params={"query": "up", "analyze": "1"})).json()
        assert analyzed["data"]["analysis"] == engine.analysis
        assert "warnings" not in analyzed
    plain_, all_, analyzed_ = engine.requests
    assert (plain_.stats, plain_.count, plain_.every_step, plain_.analyze) == (False,) * 4
    assert (all_.stats, all_.count, all_.every_step, all_.analyze) == (True, True, True, False)
    assert (analyzed_.stats, analyzed_.count, analyzed_.every_step) == (False,) * 3
    assert analyzed_.analyze
    some = await asked("query", {"query": "up", "stats": "true", "analyze": "yes"})
    assert (some.stats, some.count, some.every_step, some.analyze) == (True, True, False, False)


async def test_a_limit_cuts_the_result_and_says_so() -> None:
    vector = Vector([Sample((("n", str(number)),), 1.0, 1000) for number in range(3)])
    async with client(FakeEngine(vector)) as http:
        cut = (await http.get("/api/v1/query", params={"query": "up", "limit": "2"})).json()
        whole = (await http.get("/api/v1/query", params={"query": "up", "limit": "3"})).json()
    assert (len(cut["data"]["result"]), cut["warnings"]) == (2, ["results truncated due to limit"])
    assert len(whole["data"]["result"]) == 3 and "warnings" not in whole


@pytest.mark.parametrize("path", ["query_explain", "query_range_explain"])
async def test_explain_wants_the_thanos_engine(path: str) -> None:
    assert await refused(path, RANGE) == "engine type must be 'thanos'"
    async with client() as http:
        answer = await http.post(f"/api/v1/{path}", data=RANGE | {"engine": "thanos"})
        assert answer.json()["data"]["children"] == []
    settings = QuerySettings(query=QueryOptions(engine="thanos"))
    async with client(settings=settings) as http:
        assert (await http.get(f"/api/v1/{path}", params=RANGE)).status_code == 200


# -- waiting, and going away


class Slow(FakeEngine):
    """Mutable: how many run; they do until `release` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.running = self.most = self.cancelled = 0
        self.begun, self.release = anyio.Event(), anyio.Event()

    async def query(self, request: QueryRequest) -> Answer:
        self.running += 1
        self.most = max(self.most, self.running)
        self.begun.set()
        try:
            await self.release.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        return await super().query(request)


async def test_queries_wait_for_their_turn() -> None:
    engine = Slow()
    answers: list[int] = []
    settings = QuerySettings(query=QueryOptions(max_concurrent=2))

    async def ask(http: httpx.AsyncClient, **more: str) -> None:
        answer = await http.get("/api/v1/query", params={"query": "up", **more})
        answers.append(answer.status_code)
        if answer.status_code == 503:
            assert answer.json()["errorType"] == "timeout"
            assert answer.json()["error"] == "query timed out in query queue"
            engine.release.set()

    async with client(engine, settings=settings) as http, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(ask, http)
        with anyio.fail_after(5):
            await engine.begun.wait()
        tasks.start_soon(lambda: ask(http, timeout="10ms"))
    assert (sorted(answers), engine.most) == ([200, 200, 200, 503], 2)


async def test_a_client_that_goes_away_ends_its_query() -> None:
    engine = Slow()
    sent: list[dict[str, Any]] = []
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        return messages.pop()

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http", "method": "GET", "path": "/api/v1/query", "raw_path": b"", "root_path": "",
        "query_string": b"query=up", "headers": [], "scheme": "http", "server": ("test", 80),
        "client": None, "http_version": "1.1",
    }  # fmt: skip
    client = Departure()
    client.offer(scope)

    async def answered() -> None:
        await site(engine)(scope, receive, send)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answered)
            await engine.begun.wait()
            client.happen()
    assert (engine.cancelled, engine.running) == (1, 0)
    assert sent[0]["status"] == 503
    assert json.loads(sent[1]["body"])["errorType"] == "canceled"


# -- tenants


async def test_the_tenant_is_told_and_enforced() -> None:
    engine = FakeEngine()
    tenancy = TenancyOptions(header="X-Scope", default="nobody", label="team", enforced=True)
    async with client(engine, settings=QuerySettings(query=QueryOptions(tenancy=tenancy))) as http:
        for headers in ({"x-scope": "a"}, {"thanos-tenant": "b"}, {"x-scope": ""}):
            await http.get("/api/v1/query", params={"query": "up"}, headers=headers)
        for bad in (b"a/b", "ä".encode()):
            answer = await http.get("/api/v1/query", params={"query": "up"}, headers={b"x-scope": bad})
            assert (answer.status_code, answer.json()["error"]) == (400, "tenant name not valid")
    assert [request.metadata for request in engine.requests] == [
        {"thanos-tenant": name} for name in ("a", "b", "nobody")
    ]
    assert [request.enforced for request in engine.requests] == [
        (("=", "team", name),) for name in ("a", "b", "nobody")
    ]


class Columns(Columnar):
    """A large result; :ivar threads: that made JSON of it, or objects."""

    kind, many = "vector", True

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def value(self) -> Vector:
        self.threads.add(threading.get_ident())
        return Vector([Sample((("a", str(number)),), 1.0, 0) for number in range(2)])

    def json(self) -> Iterator[bytes]:
        self.threads.add(threading.get_ident())
        yield b"[]"


@pytest.mark.parametrize("limit", ["", "1"])
async def test_large_results_are_written_by_a_thread(limit: str) -> None:
    columns, engine = Columns(), FakeEngine()
    engine.value = columns
    async with client(engine) as http:
        answer = await http.get("/api/v1/query", params={"query": "up", "limit": limit})
    assert len(answer.json()["data"]["result"]) == len(limit)
    assert columns.threads and threading.get_ident() not in columns.threads
