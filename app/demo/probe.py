"""Plain HTTP requests to a querier on this machine."""

import urllib.error
import urllib.request

import anyio
import anyio.to_thread

_HTTP_TIMEOUT = 5.0
_READY_POLL = 0.1


async def http_get(url: str) -> tuple[int, bytes]:
    """Status and body; 0 where nobody answered."""
    return await http_ask("GET", url, _HTTP_TIMEOUT)


async def http_ask(method: str, url: str, limit: float) -> tuple[int, bytes]:
    """Status and body; 0 where nobody answered within `limit` seconds."""

    def get() -> tuple[int, bytes]:
        try:
            request = urllib.request.Request(url, method=method)
            with urllib.request.urlopen(request, timeout=limit) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except OSError:
            return 0, b""

    return await anyio.to_thread.run_sync(get, abandon_on_cancel=True)


async def until_ready(url: str) -> None:
    """Wait until the querier at `url` (no slash at the end) says that it may be asked. The caller sets the
    time limit."""
    while True:
        status, _ = await http_get(f"{url}/-/ready")
        if status == 200:
            return
        await anyio.sleep(_READY_POLL)
