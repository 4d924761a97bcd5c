"""Test data for PromQL, the project's own and Prometheus's, run on the reference evaluator and the fast path.

Prometheus's files are not part of the project: they are read from `shared/promqltest` beside the checkout, or
from the directory that CROSSREALM_PROMQLTEST names.
"""

import os
import re
from pathlib import Path

import msgspec
import pytest

from app.engine import fast
from app.engine.cancelling import CancelFlag
from app.engine.model import Annotations, Query, Storage, Value
from app.engine.prepare import prepared
from app.engine.promql.ast import Expr
from app.engine.promql.features import ALL_FEATURES
from app.engine.promql.parser import parse
from app.engine.reference import evaluate
from tests.promqltest.runner import Case, cases, run
from tests.promqltest.tables import table_of


class NotColumns(Exception):
    """The fast path does not serve this."""


FOLDER = Path(os.environ.get("CROSSREALM_PROMQLTEST", Path(__file__).parents[3] / "shared/promqltest"))
FILES = sorted(FOLDER.glob("*.test"))
OWN = sorted((Path(__file__).parent / "cases").glob("*.test"))
LEFT = re.compile(
    "(a mean of )?native histograms|histogram_fraction of classic histograms"
    "|a (string|range vector) as the result|aggregation limit_ratio|sort at several steps"
    "|function (sort_by|ts_of_m|double_exponential|info|histogram_quantiles)|.*(anchored|smoothed|fill)"
)
KNOWN: dict[str, str] = {}
"""Cases that do not pass on the reference evaluator, ``file:line``, and why; one that does is a failure."""
CASES = [case for path in (*OWN, *FILES) for case in cases(path)]


def _expected_to_fail(case: Case) -> list[pytest.MarkDecorator]:
    return [pytest.mark.xfail(reason=KNOWN[case.name], strict=True)] if case.name in KNOWN else []


def reference(query: Query, expression: str | Expr, storage: Storage) -> tuple[Value, Annotations]:
    return evaluate(query, expression, storage, ALL_FEATURES)


def test_files_are_there() -> None:
    if not FILES:
        pytest.skip(f"no promqltest files in {FOLDER}")


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name, marks=_expected_to_fail(case)) for case in CASES]
)
def test_reference(case: Case) -> None:
    run(case, reference)


def on_columns(query: Query, expression: str | Expr, storage: Storage) -> tuple[Value, Annotations]:
    """The fast path; the reference evaluator where that is left to it, as the engine does."""
    query = msgspec.structs.replace(query, delayed_name_removal=False)
    expr = parse(expression, ALL_FEATURES) if isinstance(expression, str) else expression
    placed = prepared(expr, query)
    plan = fast.plan(placed.expr, query)
    if plan.path != fast.FAST:
        raise NotColumns(plan.why)
    tables = {
        number: table_of(storage.select(node.matchers, hints.start, hints.end), hints)
        for number, (node, hints) in enumerate(fast.selectors(plan))
    }
    annotations = Annotations()
    try:
        found = fast.evaluate(plan, tables, CancelFlag().array, annotations)
    except fast.NotServed as error:
        raise NotColumns(str(error)) from None
    return fast.to_value(found, query), annotations


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fast_path(case: Case) -> None:
    """What it leaves to the reference evaluator has been run there; the reasons are few."""
    try:
        run(case, on_columns)
    except NotColumns as left:
        assert LEFT.match(str(left)), left
