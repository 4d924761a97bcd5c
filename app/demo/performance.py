"""Calls and story together, for a time, and what came of them."""

from collections.abc import Sequence
from functools import partial

import anyio
from rich.console import RenderableType

from app.demo.answers import Question
from app.demo.board import Board
from app.demo.driver import Driver, Tally, ask
from app.demo.scene import Stage
from app.demo.story import Chronicle, Story
from app.demo.summary import Summary, endpoint_summaries
from app.demo.table import picture, progress
from app.demo.view import View
from app.rpc.channel import Channel

CALLS_PER_SECOND = 150.0
_LAST_LOOK = 2.0


class Performance:
    """The calls and the story together. Mutable: the time it began, set by `run`.

    :param asked: the round of questions.
    :param stop: set when somebody wants it to end now.
    """

    def __init__(
        self,
        stage: Stage,
        asked: Sequence[Question],
        *,
        board: Board,
        caller: Channel,
        view: View,
        stop: anyio.Event,
    ) -> None:
        self._board = board
        self._caller = caller
        self._view = view
        self._stop = stop
        self._began = self._ended = 0.0
        self._tally = Tally()
        self._driver = Driver(partial(ask, caller), asked, self._tally, rate=CALLS_PER_SECOND)
        self._chronicle = Chronicle(view.event)
        self._story = Story(
            leaves=stage.eu,
            moving=stage.us,
            front=stage.front,
            board=board,
            caller=caller,
            chronicle=self._chronicle,
        )

    async def run(self, duration: float | None) -> Summary:
        """:param duration: seconds; None: until `stop`. A rotation that has begun is seen to its end."""
        self._began = anyio.current_time()
        async with anyio.create_task_group() as showing:
            showing.start_soon(self._view.follow, self)
            async with anyio.create_task_group() as asking:
                asking.start_soon(self._driver.run)
                await self._tell(duration)
                self._driver.stop()
            self._ended = anyio.current_time()
            with anyio.move_on_after(_LAST_LOOK):
                await self._board.refresh()
            showing.cancel_scope.cancel()
        return self._summary()

    async def _tell(self, duration: float | None) -> None:
        async with anyio.create_task_group() as telling:
            telling.start_soon(self._cancel_on_stop, telling.cancel_scope)
            async with anyio.create_task_group() as story:
                story.start_soon(self._story.run)
                if duration is not None:
                    await anyio.sleep(duration)
                    self._story.close()
            telling.cancel_scope.cancel()

    async def _cancel_on_stop(self, scope: anyio.CancelScope) -> None:
        await self._stop.wait()
        scope.cancel()

    @property
    def _seconds(self) -> float:
        return (self._ended or anyio.current_time()) - self._began

    def progress(self) -> str:
        return progress(self._tally, self._seconds, self._story.rotations.total())

    def picture(self) -> RenderableType:
        return picture(
            self._board.rows, self._chronicle.events, self.progress(), failed=self._tally.failed > 0
        )

    def _summary(self) -> Summary:
        rows, tally, seconds = self._board.rows, self._tally, self._seconds
        return Summary(
            calls=tally.calls,
            failed=tally.failed,
            rotations=self._story.rotations.total(),
            rotations_by_kind=dict(self._story.rotations),
            handshakes=sum(row.handshakes for row in rows) + self._caller.status().handshakes,
            seconds=round(seconds, 1),
            calls_per_second=round(tally.calls / seconds, 1) if seconds else 0.0,
            missed=list(self._story.missed),
            faults=list(tally.faults),
            endpoints=endpoint_summaries(rows),
        )
