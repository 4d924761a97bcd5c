"""The same test data for PromQL: the fast path gives what the reference evaluator does.

Names are removed at once here, as in Prometheus unless told otherwise; the suite itself wants them removed at
the end, which is for the reference evaluator alone.
"""

from contextlib import suppress

import pytest

from app.engine.model import Limits, Query
from app.engine.promql.errors import ParseError
from tests.promqltest.runner import Case, loaded, pinned
from tests.promqltest.test_suite import CASES
from tests.unit.engine.fast.agreement import check

_MINUTE = 60_000


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fast_path(case: Case) -> None:
    storage = loaded(case)
    wanted = case.eval
    queries = [Query(wanted.expr, wanted.start, wanted.end, wanted.step, limits=Limits())]
    if not wanted.step:
        at = wanted.start
        queries += [Query(text, other, other) for text, other in pinned(wanted.expr, at)]
        queries.append(Query(wanted.expr, at - _MINUTE, at + _MINUTE, _MINUTE))
    with suppress(ParseError):
        for query in queries:
            check(query, query.text, storage)
