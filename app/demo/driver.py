"""Asks without pause and judges every answer."""

from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence

import anyio

from app.demo.answers import Question
from app.errors import CallError
from app.rpc.channel import Channel

CALL_TIMEOUT = 10.0
_KEPT_FAULTS = 20


Asker = Callable[[Question], Awaitable[str]]
"""Asks once; what was wrong with the answer, "" when nothing was."""


class Tally:
    """Mutable: what came of the calls so far, which `count` alone changes.

    `begun` is set by the first call that has ended.
    """

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self.calls = 0
        self.failed = 0
        self.by_question: Counter[str] = Counter()
        self.faults: deque[str] = deque(maxlen=_KEPT_FAULTS)

    def count(self, question: str, fault: str) -> None:
        """:param fault: what was wrong; "" for a call that did not fail."""
        self.calls += 1
        self.begun.set()
        self.by_question[question] += 1
        if fault:
            self.failed += 1
            self.faults.append(f"{question}: {fault}")


async def ask(channel: Channel, question: Question, *, timeout: float = CALL_TIMEOUT) -> str:
    """Ask once through `channel`; what was wrong with the answer, "" when nothing was."""
    try:
        if not question.streams:
            return question.judge(await channel.unary(question.method, question.request, timeout=timeout))
        blocks: list[bytes] = []
        async with channel.stream(question.method, question.request, timeout=timeout) as response:
            while (block := await response.next_block()) is not None:
                blocks.append(bytes(block))
    except CallError as error:
        return str(error)
    return question.judge(b"".join(blocks))


class Driver:
    """Mutable: whose turn it is, and the time of the next call; the workers alone change both.

    :param rate: calls a second of all workers together, at most.
    """

    def __init__(
        self,
        asker: Asker,
        questions: Sequence[Question],
        tally: Tally,
        *,
        rate: float,
        workers: int = 6,
    ) -> None:
        self._asker = asker
        self._questions = questions
        self._tally = tally
        self._interval = 1 / rate
        self._workers = workers
        self._turn = 0
        self._next_call = 0.0
        self._stopping = False

    def stop(self) -> None:
        """No new calls; `run` returns when those in flight have ended."""
        self._stopping = True

    async def run(self) -> None:
        self._next_call = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for _ in range(self._workers):
                tasks.start_soon(self._work)

    async def _work(self) -> None:
        while True:
            # A worker that comes late does not make the others hurry after it.
            slot = max(self._next_call, anyio.current_time() - self._interval)
            self._next_call = slot + self._interval
            await anyio.sleep_until(slot)
            if self._stopping:
                return
            question = self._questions[self._turn % len(self._questions)]
            self._turn += 1
            self._tally.count(question.name, await self._asker(question))
