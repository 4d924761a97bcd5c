"""Plain HTTP requests to a querier on this machine."""

import urllib.error
import urllib.request

import anyio
import anyio.to_thread

_HTTP_TIMEOUT = 5.0
_READY_POLL = 0.1


async def http_get(url: str) -> tuple[int, bytes]:
    """Status and body; 0 where nobody answered."""

    def get() -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(url, timeout=_HTTP_TIMEOUT) as response:
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
