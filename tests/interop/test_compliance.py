"""The public PromQL compliance suite's queries: the querier over a sidecar says what the Prometheus says.

The reference evaluator is asked the same of the same series, in this process.
"""

from collections.abc import Sequence
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.demo.probe import http_get
from app.demo.processes import free_address, running_querier, running_server
from app.engine.model import EvaluationError, Matrix, Query
from app.engine.promql.errors import ParseError
from app.engine.reference import evaluate
from tests.harness.filled import Points, Refused, difference, filled, points
from tests.harness.stored import Stored
from tests.interop.compliance_data import END, START, STEP, demo_series
from tests.interop.compliance_table import INSTANCES, Compliant, compliance_queries, templates

pytestmark = pytest.mark.slow

TOLERANCE = 1e-5
TOGETHER = 8
"""Queries that are asked at once."""
REPLICA = {"replica": "a"}
RANGE = {"start": f"{START / 1000:.3f}", "end": f"{END / 1000:.3f}", "step": f"{STEP // 1000}"}
SELDOM = 4 * STEP
"""Milliseconds between the steps that the reference evaluator is asked for: it is slow, and each of its steps
stands alone."""
QUERIES = compliance_queries()

Outcome = Points | str
"""Points, or the text of an error."""


class Answers(msgspec.Struct, frozen=True):
    """Of each query.

    :param paths: evaluations of the querier by what did them.
    """

    prometheus: dict[str, Outcome]
    querier: dict[str, Outcome]
    paths: dict[str, int]


def peer_query(case: Compliant) -> str:
    """What is asked of Prometheus 2 in the place of a query that it refuses: the same with another label."""
    return case.query.replace("~invalid", "invalid") if case.since_3 else case.query


async def _ask(url: str, queries: Sequence[str]) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    places = anyio.CapacityLimiter(TOGETHER)
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:

        async def ask(query: str) -> None:
            async with places:
                try:
                    found[query] = points(
                        await client.post("/api/v1/query_range", data={**RANGE, "query": query})
                    )
                except Refused as error:
                    found[query] = str(error)

        async with anyio.create_task_group() as tasks:
            for query in queries:
                tasks.start_soon(ask, query)
    return found


async def _paths(url: str) -> dict[str, int]:
    _, body = await http_get(f"{url}/metrics")
    return {
        sample.labels["path"]: int(sample.value)
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if sample.name == "crossrealm_engine_evaluations_total"
    }


async def _compared(prometheus: str, querier: str) -> Answers:
    queries = [each.query for each in QUERIES]
    found: dict[str, dict[str, Outcome]] = {}

    async def ask(url: str, queries: Sequence[str]) -> None:
        found[url] = await _ask(url, queries)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, querier, queries)
        tasks.start_soon(ask, prometheus, [*queries, *(peer_query(each) for each in QUERIES if each.since_3)])
    return Answers(found[prometheus], found[querier], await _paths(querier))


async def _answers(directory: Path) -> Answers:
    grpc_address, sidecar_http, http_address = free_address(), free_address(), free_address()
    async with filled(directory, demo_series(), REPLICA) as prometheus:
        flags = [f"--prometheus.url={prometheus}", f"--grpc-address={grpc_address}"]
        async with running_server("sidecar", flags, directory, http_address=sidecar_http):
            flags = [
                f"--endpoint={grpc_address}",
                f"--grpc-address={free_address()}",
                *(f"--query.replica-label={name}" for name in REPLICA),
            ]
            async with running_querier(flags, directory, http_address=http_address):
                return await _compared(prometheus, f"http://{http_address}")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    return anyio.run(_answers, tmp_path_factory.mktemp("compliance"))


@pytest.fixture(scope="module")
def storage() -> Stored:
    return Stored(demo_series())


def _evaluated(query: str, storage: Stored) -> Outcome:
    try:
        value, _ = evaluate(Query(query, START, END, SELDOM), query, storage)
    except (EvaluationError, ParseError) as error:
        return str(error)
    assert isinstance(value, Matrix)
    return {row.labels: list(zip(row.times.tolist(), row.values.tolist(), strict=True)) for row in value.rows}


def _at(steps: range, outcome: Outcome) -> Outcome:
    """The points of some steps only."""
    if isinstance(outcome, str):
        return outcome
    found = {labels: [each for each in row if each[0] in steps] for labels, row in outcome.items()}
    return {labels: row for labels, row in found.items() if row}


def _check(case: Compliant, found: Outcome, answers: Answers, step: int) -> None:
    wanted = _at(range(START, END + 1, step), answers.prometheus[peer_query(case)])
    if case.fails:
        assert isinstance(wanted, str), "Prometheus does not refuse it"
        assert isinstance(found, str), "this does not refuse it"
        return
    assert not isinstance(wanted, str), f"Prometheus refuses it: {wanted}"
    assert not isinstance(found, str), f"refused: {found}"
    if case.since_3:
        assert isinstance(answers.prometheus[case.query], str)
        wanted = {
            tuple(sorted((name.replace("invalid", "~invalid"), value) for name, value in labels)): row
            for labels, row in wanted.items()
        }
    assert difference(found, wanted, TOLERANCE) == ""


def test_the_table_is_whole() -> None:
    assert len(templates()) == len(set(templates())) == 118
    assert len(QUERIES) == len({each.query for each in QUERIES}) == 539


@pytest.mark.parametrize("case", QUERIES, ids=lambda case: case.query)
def test_served(case: Compliant, answers: Answers) -> None:
    _check(case, answers.querier[case.query], answers, STEP)


@pytest.mark.parametrize("case", QUERIES, ids=lambda case: case.query)
def test_reference(case: Compliant, answers: Answers, storage: Stored) -> None:
    _check(case, _evaluated(case.query, storage), answers, SELDOM)


def test_kernels_evaluated_all(answers: Answers) -> None:
    refused = sum(isinstance(each, str) for each in answers.querier.values())
    assert answers.paths["reference"] == 0
    assert answers.paths["fast"] == len(QUERIES) - refused


def test_the_data_say_something(answers: Answers) -> None:
    """Of metrics that do not exist, of windows too short and of impossible conditions there is nothing."""
    assert sum(not each for each in answers.prometheus.values()) == 49
    intermittent = answers.prometheus["demo_intermittent_metric"]
    assert isinstance(intermittent, dict)
    steps = (END - START) // STEP + 1
    assert [len(row) for row in intermittent.values()] == pytest.approx([steps / 2] * len(INSTANCES), abs=2)
