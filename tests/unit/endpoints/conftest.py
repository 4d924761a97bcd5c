import pytest

from tests.unit.endpoints.virtual_clock import BACKEND


@pytest.fixture
def anyio_backend() -> object:
    return BACKEND
