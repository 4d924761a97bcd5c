"""``crossrealm demo``: three realms, six stores, the real querier, and certificates rotating under load."""

import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import structlog
from prometheus_client import CollectorRegistry
from rich.console import Console

from app.demo.answers import questions
from app.demo.board import Board
from app.demo.performance import Performance
from app.demo.realms import Front, write_endpoints
from app.demo.scene import DRAIN_WINDOW, build_stage, keep_querier, start_stores
from app.demo.summary import Summary
from app.demo.view import LineView, LiveView, SilentView, View
from app.errors import CrossrealmError
from app.rpc.channel import Channel, ChannelOptions
from app.rpc.metrics import ClientMetrics
from app.tls.cache import CertificateCache
from app.tls.metrics import TlsMetrics
from app.tls.model import Role, TlsFiles, TlsPolicy
from app.tls.provider import Provider

_CLOSE_GRACE = 2.0


class Interrupt:
    """Ctrl-C. Mutable: `stop`, set by the first signal; `performing`, set by the demo when calls begin.

    :param scope: of everything.
    """

    def __init__(self, scope: anyio.CancelScope) -> None:
        self._scope = scope
        self.stop = anyio.Event()
        self.performing = False

    async def watch(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """The first signal ends the calls, and the summary follows; a second one, or one before the first
        call, ends everything."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                if self.stop.is_set() or not self.performing:
                    self._scope.cancel()
                self.stop.set()


def _caller_tls(cache: CertificateCache, front: Front) -> Provider:
    files = TlsFiles(
        cert_file=front.client.cert_file, key_file=front.client.key_file, ca_file=front.trust.ca_file
    )
    return cache.provider("demo", Role.CLIENT, files, TlsPolicy())


async def _demo(root: Path, duration: float | None, view: View, interrupt: Interrupt) -> Summary:
    logs = root / "logs"
    stage = await anyio.to_thread.run_sync(build_stage, root)
    async with anyio.create_task_group() as tasks:
        view.event("starting six stores in three realms, and the querier in front of them")
        endpoints = root / "endpoints.yaml"
        write_endpoints(endpoints, await start_stores(tasks, stage, logs))
        asked = await anyio.to_thread.run_sync(lambda: questions(stage.datasets()))
        await tasks.start(keep_querier, stage, endpoints, logs)
        view.event(f"the querier is ready: gRPC with mTLS on {stage.grpc_address}, HTTP on {stage.http_url}")
        registry = CollectorRegistry()
        cache = CertificateCache(metrics=TlsMetrics(registry))
        await tasks.start(cache.run)
        caller = Channel(
            stage.grpc_address,
            group="demo",
            tls=_caller_tls(cache, stage.front),
            options=ChannelOptions(drain_window=DRAIN_WINDOW),
            metrics=ClientMetrics(registry),
        )
        tasks.start_soon(caller.run)
        board = Board(stage.http_url)
        tasks.start_soon(board.run)
        interrupt.performing = True
        summary = await Performance(
            stage, asked, board=board, caller=caller, view=view, stop=interrupt.stop
        ).run(duration)
        await caller.aclose(_CLOSE_GRACE)
        tasks.cancel_scope.cancel()
    return summary


@contextmanager
def _own_log(path: Path) -> Iterator[None]:
    """Our own channel's log lines go to a file: the screen is the view's."""
    with path.open("w") as file:
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(file))
        try:
            yield
        finally:
            structlog.reset_defaults()


async def _with_signals(duration: float | None, view: View) -> tuple[Summary | None, bool]:
    """The summary, None when it was cut short; and whether the demo was interrupted."""
    summary: Summary | None = None
    with tempfile.TemporaryDirectory(prefix="crossrealm-demo-", ignore_cleanup_errors=True) as root:
        logs = Path(root, "logs")
        await anyio.Path(logs).mkdir()
        with _own_log(logs / "demo.log"):
            async with anyio.create_task_group() as tasks:
                interrupt = Interrupt(tasks.cancel_scope)
                await tasks.start(interrupt.watch)
                summary = await _demo(Path(root), duration, view, interrupt)
                tasks.cancel_scope.cancel()
    return summary, interrupt.stop.is_set()


def _report(summary: Summary, *, json: bool, interrupted: bool, write: Callable[[str], None]) -> int:
    problems = summary.problems if interrupted else summary.lacking()
    for line in [summary.json()] if json else summary.lines():
        write(line)
    for problem in problems:
        print(f"demo: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _view(*, json: bool) -> View:
    console = Console()
    if json:
        return SilentView()
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveView(console)
    return LineView(lambda line: print(line, flush=True))


def run_demo(duration: float | None = None, json: bool = False) -> int:
    """Run the demo; the exit code, 0 when no call failed and every rotation happened.

    :param duration: seconds of calls; None: until Ctrl-C. Each kind of rotation is seen to its end once, so
        a very short run takes a few seconds longer.
    :param json: only one JSON object, at the end.
    """
    summary: Summary | None = None
    interrupted = False
    try:
        summary, interrupted = anyio.run(_with_signals, duration, _view(json=json))
    except* CrossrealmError as group:
        print(f"demo: {_first(group)}", file=sys.stderr)
    if summary is None:
        return 1
    return _report(summary, json=json, interrupted=interrupted, write=print)


def _first(group: BaseException) -> BaseException:
    """What was raised first; the others are its consequences."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group
