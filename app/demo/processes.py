"""Child processes that never outlive the one that started them, and whose end is explained."""

import contextlib
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE

import anyio
import anyio.abc
import msgspec
from anyio.streams.buffered import BufferedByteReceiveStream

from app.demo.probe import until_ready
from app.errors import CrossrealmError

_LEASH = str(Path(__file__).with_name("leash.py"))
_TAIL_BYTES = 4096
_TAIL_LINES = 12
_FIRST_LINE_LIMIT = 65_536
_PORTS = range(20_000, 32_000)
_TRIES = 100


class ChildError(CrossrealmError):
    """A child ended, or did not come up. The message has the last lines that it wrote."""


class Child:
    """A running process. Mutable: `stopping`, set by `stop` alone; the process itself.

    :param name: for people.
    :param log: what the process writes to stderr.
    """

    def __init__(self, name: str, process: anyio.abc.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self.stopping = False
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative is a signal."""
        return self._process.returncode

    def tail(self) -> str:
        """The last lines of its log, indented; says so when there are none."""
        with self.log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join(f"    {line}" for line in lines) or "    (it wrote nothing)"

    async def first_line(self, limit: float) -> bytes:
        """The first line that it writes to stdout.

        :param limit: seconds.
        :raises ChildError: it ended or was silent for so long.
        """
        assert self._process.stdout is not None
        stdout = BufferedByteReceiveStream(self._process.stdout)
        try:
            with anyio.fail_after(limit):
                return await stdout.receive_until(b"\n", _FIRST_LINE_LIMIT)
        except TimeoutError:
            raise ChildError(f"{self.name} is not up after {limit:.0f} s:\n{self.tail()}") from None
        except anyio.IncompleteRead:
            raise ChildError(f"{self.name} ended while it started:\n{self.tail()}") from None

    async def wait(self) -> int:
        """Until it has ended; its return code."""
        return await self._process.wait()

    def send_signal(self, number: signal.Signals) -> None:
        """To this one process. Nothing happens when it has ended."""
        if self._process.returncode is None:
            self._process.send_signal(number)

    async def stop(self, grace: float) -> None:
        """SIGTERM, and SIGKILL after `grace` seconds. Returns when it has ended."""
        self.stopping = True
        self.send_signal(signal.SIGTERM)
        with anyio.move_on_after(grace):
            await self._process.wait()
            return
        self.send_signal(signal.SIGKILL)
        await self._process.wait()

    async def watch(self) -> None:
        """Until it is stopped.

        :raises ChildError: it ended although nobody stopped it.
        """
        code = await self._process.wait()
        if not self.stopping:
            raise ChildError(f"{self.name} ended by itself with {_ending(code)}:\n{self.tail()}")


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


@asynccontextmanager
async def running(
    name: str,
    command: Sequence[str],
    logs: Path,
    *,
    announces: bool = False,
    grace: float = 5.0,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Child]:
    """Run `command` for as long as the scope is open, on a leash (`leash`) and in a session of its own.

    A Ctrl-C at the terminal reaches only this process, which then ends its children in order.

    :param command: the first item is a path.
    :param logs: the directory for the log, named after `name`.
    :param announces: its first line on stdout is wanted; otherwise stdout goes to the log too.
    :param grace: seconds between SIGTERM and SIGKILL at the end.
    """
    log = logs / f"{name}.log"
    leashed = [sys.executable, "-S", "-E", _LEASH, str(os.getpid()), *command]
    with log.open("wb") as stderr:
        process = await anyio.open_process(
            leashed,
            stdin=DEVNULL,
            stdout=PIPE if announces else stderr,
            stderr=stderr,
            start_new_session=True,
            env=dict(environment) if environment is not None else None,
        )
    child = Child(name, process, log)
    try:
        yield child
    finally:
        with anyio.CancelScope(shield=True):
            await child.stop(grace)
            await process.aclose()


class _Announcement(msgspec.Struct, frozen=True):
    addresses: tuple[str, ...]


@asynccontextmanager
async def running_store(
    name: str, flags: Sequence[str], logs: Path, *, limit: float = 20.0
) -> AsyncIterator[tuple[Child, tuple[str, ...]]]:
    """A synthetic store (`app.demo.store`) and the addresses that it serves on.

    :param limit: seconds to come up.
    :raises ChildError: it did not.
    """
    command = [sys.executable, "-m", "app.demo.store", *flags]
    async with running(name, command, logs, announces=True) as child:
        line = await child.first_line(limit)
        yield child, msgspec.json.decode(line, type=_Announcement).addresses


def free_address() -> str:
    """``127.0.0.1:port`` where nobody listens now.

    Not of the ports that systems give to connections and to whoever wants any: until the child listens,
    seconds pass, in which another process could be given it.
    """
    with socket.socket() as probe:
        for port in random.sample(_PORTS, _TRIES):
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return f"127.0.0.1:{port}"
    raise ChildError(f"no port is free among {_TRIES} of {_PORTS.start} to {_PORTS.stop - 1}")


@asynccontextmanager
async def running_server(
    command: str,
    flags: Sequence[str],
    logs: Path,
    *,
    http_address: str,
    name: str = "",
    limit: float = 120.0,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Child]:
    """``crossrealm query`` or ``crossrealm sidecar`` with `flags`, entered when it is ready.

    :param command: ``query`` or ``sidecar``.
    :param http_address: where its HTTP listener is to be; not among `flags`.
    :param name: of the process; empty: the command.
    :param limit: seconds to become ready. Kernels that were never compiled are compiled first.
    :raises ChildError: it did not, or it ended.
    """
    words = [sys.executable, "-m", "app", command, *flags, f"--http-address={http_address}"]
    async with running(name or command, words, logs, grace=10.0, environment=environment) as child:
        await until_up(child, f"http://{http_address}", limit)
        yield child


@asynccontextmanager
async def running_querier(
    flags: Sequence[str],
    logs: Path,
    *,
    http_address: str,
    name: str = "querier",
    limit: float = 120.0,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Child]:
    """``crossrealm query``, as `running_server` runs it."""
    async with running_server(
        "query", flags, logs, http_address=http_address, name=name, limit=limit, environment=environment
    ) as child:
        yield child


async def until_up(child: Child, url: str, limit: float) -> None:
    """Wait until the server at `url` (no slash at its end) says that it is ready.

    :param limit: seconds.
    :raises ChildError: it is not, or has ended; with the end of its log.
    """
    ended: ChildError | None = None
    with anyio.move_on_after(limit) as waiting:
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                nonlocal ended
                try:
                    await child.watch()
                except ChildError as error:
                    ended = error
                tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            await until_ready(url)
            tasks.cancel_scope.cancel()
    if ended is not None:
        raise ended
    if waiting.cancelled_caught:
        raise ChildError(f"{child.name} is not ready after {limit:.0f} s:\n{child.tail()}")
