"""The command: a question in, an answer and an exit code out."""

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import anyio
from rich.console import Console

from app.errors import CallError
from app.telemetry import logs
from app.terminal.model import QueryFailed, Question, found
from app.terminal.said import show_failure, show_said
from app.terminal.show import show

EXIT_OK, EXIT_FAILED = 0, 1

Output = Literal["table", "json"]


def run_promql(
    question: Question, *, url: str, client_file: Path | None, endpoints: Path | None, output: str, plot: bool
) -> int:
    """Ask the server at `url`, or the endpoints of a file; the exit code.

    :param client_file: how to get to the server.
    :raises ConfigError: a file or the URL is at fault.
    """
    logs.configure("error", "logfmt")
    console, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    ask = _asking(question, url, client_file, endpoints)
    try:
        with errors.status("asking"):
            answer = found(anyio.run(ask))
    except (QueryFailed, CallError) as error:
        text = error.message if isinstance(error, CallError) else str(error)
        show_failure(text, question.text, errors)
        return EXIT_FAILED
    show_said(answer.said, question.text, errors)
    try:
        if output == "json":
            sys.stdout.buffer.write(answer.body.rstrip(b"\n") + b"\n")
        else:
            show(answer, question, console, plot=plot)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has seen enough. Python would complain when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_OK


def _asking(
    question: Question, url: str, client_file: Path | None, endpoints: Path | None
) -> Callable[[], Awaitable[bytes]]:
    # The two need much that the other does not.
    async def ask() -> bytes:
        if endpoints is not None:
            from app.terminal.local import ask_endpoints

            return await ask_endpoints(endpoints, question)
        from app.terminal.remote import ask_url

        return await ask_url(url, client_file, question)

    return ask
