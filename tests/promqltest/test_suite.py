"""Prometheus's own test data for PromQL, run on the reference evaluator.

The files are not part of the project: they are read from `shared/promqltest` beside the checkout, or from the
directory that CROSSREALM_PROMQLTEST names.
"""

import os
from pathlib import Path

import pytest

from app.engine.model import Annotations, Query, Value
from app.engine.promql.features import ALL_FEATURES
from app.engine.reference import evaluate
from tests.promqltest.runner import Case, cases, run
from tests.promqltest.storage import MemoryStorage

FOLDER = Path(os.environ.get("CROSSREALM_PROMQLTEST", Path(__file__).parents[3] / "shared/promqltest"))
FILES = sorted(FOLDER.glob("*.test"))
KNOWN: dict[str, str] = {}
"""Cases that do not pass, and why."""


def reference(query: Query, expression: str, storage: MemoryStorage) -> tuple[Value, Annotations]:
    return evaluate(query, expression, storage, ALL_FEATURES)


def test_files_are_there() -> None:
    if not FILES:
        pytest.skip(f"no promqltest files in {FOLDER}")


@pytest.mark.parametrize("case", [case for path in FILES for case in cases(path)], ids=lambda case: case.name)
def test_reference(case: Case) -> None:
    if case.name in KNOWN:
        pytest.xfail(KNOWN[case.name])
    run(case, reference)
