"""Everything that can be read again while a server runs, on SIGHUP and on ``POST /-/reload``."""

from collections.abc import Awaitable, Callable, Sequence

import anyio
import structlog

from app.errors import ConfigError, Problem

log = structlog.get_logger()


class Reload:
    """Mutable: the runs that have begun and ended, and the outcome of the last; changed by `run` alone.

    One run at a time. Those who ask while one is going on share the next, however many they are: what they
    want read may have changed since the one that is going on read it.

    :param parts: each reads something again, and raises ConfigError where that is at fault. All of them are
        called, in order, whatever the others raise.
    """

    def __init__(self, parts: Sequence[Callable[[str], Awaitable[None]]]) -> None:
        self._parts = tuple(parts)
        self._lock = anyio.Lock()
        self._begun = self._ended = 0
        self._problems: tuple[Problem, ...] = ()
        self._waiting = 0

    @property
    def requested(self) -> bool:
        """Whether somebody waits for a run that has not begun: asking once more would change nothing."""
        return self._waiting > 0

    async def run(self, trigger: str) -> None:
        """Read everything again.

        :param trigger: who asks, for the log.
        :raises ConfigError: with all that is at fault; what was in force there stays.
        """
        wanted = self._begun + 1
        self._waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self._waiting -= 1
        try:
            if self._ended < wanted:
                await self._read_again(trigger)
            problems = self._problems
        finally:
            self._lock.release()
        if problems:
            raise ConfigError(problems)

    async def _read_again(self, trigger: str) -> None:
        self._begun += 1
        problems: list[Problem] = []
        try:
            for part in self._parts:
                try:
                    await part(trigger)
                except ConfigError as error:
                    problems.extend(error.problems)
                except Exception as error:  # the server goes on with what it has
                    log.exception("reading again failed")
                    problems.append(Problem("reload", f"an internal error: {type(error).__name__}: {error}"))
        finally:
            self._problems = tuple(problems)
        self._ended = self._begun
