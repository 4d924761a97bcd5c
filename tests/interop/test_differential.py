"""Random queries over random series: a real Prometheus, the reference evaluator and the fast path agree.

Prometheus 2 has windows that include their begin, and so have both evaluators here; what it computes
otherwise than Prometheus 3 is not asked. With CROSSREALM_DIFFERENTIAL=N, N queries are tried, never the same.
"""

import os
import secrets
from collections.abc import Iterator
from functools import cache

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from app.engine.model import Matrix, Query, Scalar, Vector
from tests.harness.expressions import expressions, placed
from tests.harness.filled import Points, Refused, difference, filled, points
from tests.harness.stored import Stored
from tests.interop.worlds import begin_of, series_of
from tests.unit.engine.fast.agreement import check, reference

LONG = int(os.environ.get("CROSSREALM_DIFFERENTIAL", "0"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(0 if LONG else 300)]
WORLDS, SEED = (60, secrets.randbits(32)) if LONG else (12, 7)
TOLERANCE = 1e-7
WHEN = [
    (600_000, 600_000, 0),
    (735_007, 735_007, 0),
    (0, 900_000, 60_000),
    (300_000, 1_000_000, 25_000),
]
"""Start, end and step in milliseconds from the begin of a world."""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """It has all worlds."""
    series = [each for world in range(WORLDS) for each in series_of(world, SEED)]
    with start_blocking_portal() as portal:
        running = filled(tmp_path_factory.mktemp("differential"), series, {"replica": "a"})
        with portal.wrap_async_context_manager(running) as url, httpx.Client(base_url=url) as client:
            yield client


@cache
def storage_of(world: int) -> Stored:
    return Stored(series_of(world, SEED))


def _asked(client: httpx.Client, query: Query) -> Points | None:
    """None where Prometheus refuses."""
    start, end = f"{query.start / 1000:.3f}", f"{query.end / 1000:.3f}"
    if query.step:
        path, when = "query_range", {"start": start, "end": end, "step": f"{query.step / 1000:.3f}"}
    else:
        path, when = "query", {"time": start}
    text = query.text.replace("double_exponential_smoothing", "holt_winters")
    answer = client.post(f"/api/v1/{path}", data={"query": text, **when})
    try:
        return points(answer)
    except Refused as error:
        note(f"Prometheus: {error}")
        return None


NOT_EXPLICIT = "multiple matches for labels"


def _newly_refused(query: Query, storage: Stored) -> bool:
    """Whether two elements match the same one: Prometheus 2 looks only at those for which a comparison holds,
    newer ones at all."""
    return NOT_EXPLICIT in reference(query, query.text, storage).error


def _evaluated(query: Query, storage: Stored) -> Points | None:
    """None where the reference evaluator refuses."""
    outcome = reference(query, query.text, storage)
    if outcome.error:
        note(f"refused: {outcome.error}")
        return None
    match outcome.value:
        case Matrix(rows):
            return {
                row.labels: list(zip(row.times.tolist(), row.values.tolist(), strict=True)) for row in rows
            }
        case Vector(samples):
            return {each.labels: [(each.time, float(each.value))] for each in samples}  # type: ignore[arg-type]
        case Scalar(time, value):
            return {(): [(time, value)]}
    raise AssertionError(f"not a value of numbers: {outcome.value}")


@settings(
    max_examples=LONG or 300,
    derandomize=not LONG,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)
@given(expressions(peer=True), st.integers(0, WORLDS - 1), st.sampled_from(WHEN))
def test_all_three_agree(
    prometheus: httpx.Client, expression: str, world: int, when: tuple[int, int, int]
) -> None:
    begin = begin_of(world)
    text = placed(expression, begin).replace("holt_winters", "double_exponential_smoothing")
    start, end, step = when
    query = Query(text, begin + start, begin + end, step, closed_windows=True)
    storage = storage_of(world)
    found, wanted = _evaluated(query, storage), _asked(prometheus, query)
    note(f"seed {SEED}")
    if wanted is None:
        assert found is None
    elif found is None:
        assert _newly_refused(query, storage)
    else:
        assert difference(found, wanted, TOLERANCE) == ""
    check(query, text, storage, ordered=False)
