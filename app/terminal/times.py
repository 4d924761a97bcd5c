"""When a query is asked about, from what was written on the command line. Pure."""

from app.engine.promql.literals import duration_text
from app.errors import ConfigError, Problem
from app.terminal.model import Question
from app.web.api.errors import ApiError
from app.web.api.parameters import MAX_STEPS, MILLISECOND, parse_nanoseconds, parse_time

_STEPS = 250
"""Of a range that names none, as the API has it."""


def question(
    text: str,
    *,
    now: float,
    time: str = "",
    start: str = "",
    end: str = "",
    since: float = 0.0,
    step: str = "",
    timeout: float = 120.0,
    replica_labels: tuple[str, ...] = (),
) -> Question:
    """An instant query, or one of a range where any of the other times is given.

    :param now, since: seconds.
    :raises ConfigError: with every fault.
    """
    reading = _Reading(round(now * 1000))
    given = {"--start": start, "--end": end, "--since": since, "--step": step}
    ranged = [name for name, value in given.items() if value]
    if time and ranged:
        reading.problem("--time", f"it is for instant queries; {', '.join(ranged)} for ranges", "use either")
    if start and since:
        reading.problem("--since", "it excludes --start")
    if ranged and not start and not since:
        reading.problem(ranged[0], "a range needs a beginning", "add --start or --since")
    if timeout <= 0:
        reading.problem("--timeout", "0 is not allowed: it would never give anything time")
    if not ranged:
        at = reading.time("--time", time)
        first, last, every = at, at, 0
    else:
        last = reading.time("--end", end)
        first = last - round(since * 1000) if since else reading.time("--start", start)
        every = reading.step(step, last - first)
        if not reading.problems:
            _check(reading, first, last, every)
    if reading.problems:
        raise ConfigError(reading.problems)
    return Question(
        text=text, start=first, end=last, step=every, timeout=timeout, replica_labels=replica_labels
    )


def _check(reading: "_Reading", first: int, last: int, every: int) -> None:
    if last < first:
        reading.problem("--end", "it is before the start")
    elif (last - first) // every > MAX_STEPS:
        least = -(-(last - first) // MAX_STEPS // 1000) * 1000 + 1000
        remedy = f"take {duration_text(least)} or longer"
        reading.problem("--step", f"there would be more than {MAX_STEPS} points", remedy)


class _Reading:
    """Mutable: the problems found so far.

    :param now: milliseconds.
    """

    def __init__(self, now: int) -> None:
        self.problems: list[Problem] = []
        self._now = now

    def problem(self, flag: str, what: str, remedy: str = "") -> None:
        self.problems.append(Problem(flag, what, remedy))

    def time(self, flag: str, text: str) -> int:
        """Milliseconds; now where nothing is written."""
        if not text:
            return self._now
        try:
            return parse_time(text)
        except ApiError as error:
            self.problem(flag, error.text, "write 2026-11-23T19:00:00Z or seconds since the epoch")
            return 0

    def step(self, text: str, span: int) -> int:
        """Milliseconds, one at least.

        :param span: milliseconds.
        """
        if not text:
            return max(span // 1000 // _STEPS, 1) * 1000
        try:
            found = parse_nanoseconds(text) // MILLISECOND
        except ApiError as error:
            self.problem("--step", error.text, "write for example 15s")
            return 1
        if found < 1:
            self.problem("--step", "it has to be a millisecond or more")
        return max(found, 1)
