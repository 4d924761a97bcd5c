"""What all tests share."""

import hypothesis
import pytest

from tests.turns import Turns

# How long an example takes is the machine's affair, which may have other work; all tests have a time limit.
hypothesis.settings.register_profile("patient", parent=hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    # Of pytest-xdist's workers alone: one process has nobody to wait for.
    if hasattr(config, "workerinput") and config.cache is not None:
        config.pluginmanager.register(Turns(config.cache.mkdir("turns")))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
