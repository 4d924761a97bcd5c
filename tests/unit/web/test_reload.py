"""`POST /-/reload`, word for word as Prometheus answers it."""

import httpx
import pytest
from starlette.applications import Starlette

from app.errors import ConfigError, Problem
from app.web.reload import reload_route

pytestmark = pytest.mark.anyio


class Reload:
    """Mutable: who asked; the test sets what is at fault."""

    def __init__(self) -> None:
        self.triggers: list[str] = []
        self.problems: list[Problem] = []

    async def __call__(self, trigger: str) -> None:
        self.triggers.append(trigger)
        if self.problems:
            raise ConfigError(self.problems)


def client(reload: Reload, *, enabled: bool = True) -> httpx.AsyncClient:
    app = Starlette(routes=[reload_route(reload, enabled=enabled)])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_it_reads_again(method: str) -> None:
    reload = Reload()
    async with client(reload) as http:
        answer = await http.request(method, "/-/reload")
        assert (answer.status_code, answer.text) == (200, "")
    assert reload.triggers == ["/-/reload"]


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_it_is_off_unless_it_is_switched_on(method: str) -> None:
    reload = Reload()
    async with client(reload, enabled=False) as http:
        answer = await http.request(method, "/-/reload")
        assert (answer.status_code, answer.text) == (403, "Lifecycle API is not enabled.")
    assert reload.triggers == []


@pytest.mark.parametrize("enabled", [True, False])
async def test_reading_a_page_changes_nothing(enabled: bool) -> None:
    reload = Reload()
    async with client(reload, enabled=enabled) as http:
        answer = await http.get("/-/reload")
        assert (answer.status_code, answer.text) == (405, "Only POST or PUT requests allowed")
        assert answer.headers["allow"] == "POST, PUT"
    assert reload.triggers == []


async def test_every_fault_is_in_the_answer() -> None:
    reload = Reload()
    reload.problems = [Problem("e.yaml:1: item 1", "bad", "mend it"), Problem("e.yaml:2: item 2", "worse")]
    async with client(reload) as http:
        answer = await http.post("/-/reload")
    assert answer.status_code == 500
    assert answer.text == (
        "failed to reload config: e.yaml:1: item 1: bad (mend it)\ne.yaml:2: item 2: worse\n"
    )
