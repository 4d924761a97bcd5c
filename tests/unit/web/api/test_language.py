"""`/format_query` and `/parse_query`."""

from typing import Any

import pytest

from app.engine.promql.features import ALL_FEATURES
from app.engine.promql.parser import parse
from app.web.api.tree import tree
from tests.unit.web.api.fakes import client

pytestmark = pytest.mark.anyio


async def get(path: str, query: str) -> Any:
    async with client() as http:
        return (await http.get(f"/api/v1/{path}", params={"query": query})).json()


async def test_a_query_is_formatted() -> None:
    found = await get("format_query", "foo/bar")
    assert found == {"status": "success", "data": "foo / bar"}


@pytest.mark.parametrize("path", ["format_query", "parse_query"])
async def test_what_is_no_query_is_refused_with_its_position(path: str) -> None:
    found = await get(path, "up +")
    assert found == {
        "status": "error",
        "errorType": "bad_data",
        "error": 'invalid parameter "query": 1:5: parse error: unexpected end of input',
    }


SELECTOR: dict[str, Any] = {
    "type": "vectorSelector",
    "name": "up",
    "offset": 0,
    "offsetExpr": None,
    "matchers": [{"name": "__name__", "value": "up", "type": "="}],
    "timestamp": None,
    "startOrEnd": None,
    "anchored": False,
    "smoothed": False,
}


async def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    assert (await get("parse_query", '"\\xff"'))["data"] == {"type": "stringLiteral", "val": "\ufffd"}
    assert (await get("parse_query", r'a{b="é\xff"}'))["data"]["matchers"][0]["value"] == "é\ufffd"
    assert (await get("format_query", r'a{b="é\xff"}'))["data"] == r'a{b="é\xff"}'


async def test_a_query_is_parsed() -> None:
    found = await get("parse_query", 'sum by (job) (rate(a{b!~"c"}[5m] offset -1m @ 1.5)) > bool 2')
    assert found["data"] == {
        "type": "binaryExpr",
        "op": ">",
        "lhs": {
            "type": "aggregation",
            "op": "sum",
            "expr": {
                "type": "call",
                "func": {"name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector"},
                "args": [
                    {
                        "type": "matrixSelector",
                        "name": "a",
                        "range": 300_000,
                        "rangeExpr": None,
                        "offset": -60_000,
                        "offsetExpr": None,
                        "matchers": [
                            {"name": "b", "value": "c", "type": "!~"},
                            {"name": "__name__", "value": "a", "type": "="},
                        ],
                        "timestamp": 1500,
                        "startOrEnd": None,
                        "anchored": False,
                        "smoothed": False,
                    }
                ],
            },
            "param": None,
            "grouping": ["job"],
            "without": False,
        },
        "rhs": {"type": "numberLiteral", "val": "2"},
        "matching": None,
        "bool": True,
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("up", SELECTOR),
        ("up @ end()", {**SELECTOR, "startOrEnd": "end"}),
        ("(up)", {"type": "parenExpr", "expr": SELECTOR}),
        ("-up", {"type": "unaryExpr", "op": "-", "expr": SELECTOR}),
        ('"x"', {"type": "stringLiteral", "val": "x"}),
        ("-Inf", {"type": "numberLiteral", "val": "-Inf"}),
        (
            "topk(1, up)",
            {
                "type": "aggregation",
                "op": "topk",
                "expr": SELECTOR,
                "param": {"type": "numberLiteral", "val": "1"},
                "grouping": (),
                "without": False,
            },
        ),
        (
            "up[1h:5m] @ start()",
            {
                "type": "subquery",
                "expr": SELECTOR,
                "range": 3_600_000,
                "rangeExpr": None,
                "offset": 0,
                "offsetExpr": None,
                "step": 300_000,
                "stepExpr": None,
                "timestamp": None,
                "startOrEnd": "start",
            },
        ),
        (
            "up * on (a) group_left (b) up",
            {
                "type": "binaryExpr",
                "op": "*",
                "lhs": SELECTOR,
                "rhs": SELECTOR,
                "matching": {
                    "card": "many-to-one",
                    "labels": ("a",),
                    "on": True,
                    "include": ("b",),
                    "fillValues": {"lhs": None, "rhs": None},
                },
                "bool": False,
            },
        ),
    ],
)
def test_nodes(query: str, found: dict[str, Any]) -> None:
    assert tree(parse(query)) == found


def test_calculated_durations() -> None:
    found = tree(parse("up[5m + step()] offset (1m)", ALL_FEATURES))
    assert found["type"] == "matrixSelector"
    assert found["rangeExpr"]["op"] == "+"
    assert found["rangeExpr"]["lhs"] == {"type": "numberLiteral", "val": "300", "duration": True}
    assert found["rangeExpr"]["rhs"]["op"] == "step"
