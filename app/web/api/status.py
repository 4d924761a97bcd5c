"""`/status/buildinfo`, `/status/flags`, `/status/runtimeinfo`: the querier itself."""

import os
import platform
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version

import anyio

from app.web.api.envelope import Result, result_of
from app.web.api.handling import Call

INTERFACE = "0.43.0"
"""The version of Thanos whose API this is: clients choose by it what they ask."""


def own_version() -> str:
    """Of this program."""
    try:
        return version("crossrealm")
    except PackageNotFoundError:  # run from a directory of sources
        return "0"


class Status:
    """Immutable.

    :param flags: name without dashes -> value as it was given.
    :param now: seconds since the epoch; the querier is taken to start at the first look at it.
    """

    def __init__(self, flags: Mapping[str, str], now: Callable[[], float]) -> None:
        self._flags = flags
        self._started = datetime.fromtimestamp(now(), timezone.utc)  # noqa: UP017

    async def build(self, _: Call) -> Result:
        """Versions. There are no `features`, by which clients would take this for a newer Prometheus."""
        return result_of(
            {
                "version": f"{INTERFACE}+crossrealm.{own_version()}",
                "revision": "",
                "branch": "",
                "buildUser": "",
                "buildDate": "",
                "goVersion": f"{platform.python_implementation()} {platform.python_version()}",
            }
        )

    async def flags(self, _: Call) -> Result:
        """Flags as they were given, or their defaults."""
        return result_of(self._flags)

    async def runtime(self, _: Call) -> Result:
        """The process, under the names of Go: its routines are tasks, its limits are the cgroup's."""
        return result_of(
            {
                "startTime": self._started.isoformat().replace("+00:00", "Z"),
                "CWD": os.getcwd(),
                "goroutineCount": len(anyio.get_running_tasks()),
                "GOMAXPROCS": len(os.sched_getaffinity(0)),
                "GOGC": "",
                "GODEBUG": "",
                "GOMEMLIMIT": 2**63 - 1,
            }
        )
