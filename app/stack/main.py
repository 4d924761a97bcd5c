"""``python -m app.stack``: runs the stack, says what is where, and ends it on Ctrl-C."""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
from rich import box
from rich.console import Console
from rich.table import Table

from app.config.durations import parse_duration
from app.demo.processes import Child
from app.errors import CrossrealmError, leaves
from app.stack.prometheus import program
from app.stack.scene import PLAINTEXT, Options, Stack, running_stack


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make stack",
        description="Prometheus twice in realm eu (an HA pair), once in us, once without TLS; a sidecar each;"
        " one querier over the three realms. Everything on the loopback, without containers.",
    )
    parser.add_argument(
        "--stacked", action="store_true", help="eu gets a querier of its own under the global one"
    )
    parser.add_argument("--duration", type=parse_duration, default=None, help="default: until Ctrl-C")
    parser.add_argument(
        "--data-dir", type=Path, default=None, help="keep all files there; default: temporary"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    given = parser.parse_args()
    console = Console(stderr=given.json)
    failed = False
    try:
        program()
        with _directory(given.data_dir) as root:
            anyio.run(_run, root, given, console)
    except* CrossrealmError as group:
        for error in leaves(group):
            console.print(f"error: {error}", style="red", markup=False, highlight=False)
        failed = True
    return 1 if failed else 0


@contextmanager
def _directory(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="crossrealm-stack-") as name:
        yield Path(name)


async def _run(root: Path, given: argparse.Namespace, console: Console) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_stop_on_signal, tasks.cancel_scope)
        with console.status("starting four Prometheus servers, their sidecars and the querier ..."):
            exits = running_stack(root, Options(stacked=given.stacked))
            stack = await exits.__aenter__()
        try:
            _show(stack, console, as_json=given.json)
            async with anyio.create_task_group() as watching:
                watching.start_soon(_watch, stack.querier.child)
                with anyio.move_on_after(given.duration):
                    await anyio.sleep_forever()
                watching.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await exits.__aexit__(None, None, None)
        tasks.cancel_scope.cancel()


async def _watch(child: Child) -> None:
    await child.watch()


async def _stop_on_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()
            return


def described(stack: Stack) -> dict[str, Any]:
    """What is where, for programs."""
    return {
        "directory": str(stack.directory),
        "querier": {"grpc": stack.querier.grpc_address, "http": f"http://{stack.querier.http_address}"},
        "queriers_of_realms": {
            name: {"grpc": leaf.grpc_address, "http": f"http://{leaf.http_address}"}
            for name, leaf in stack.leaves.items()
        },
        "client": {
            "cert_file": stack.front.client.cert_file,
            "key_file": stack.front.client.key_file,
            "ca_file": stack.front.trust.ca_file,
        },
        "members": [
            {
                "realm": each.realm,
                "replica": each.replica,
                "prometheus": each.prometheus.address,
                "sidecar_grpc": each.grpc_address,
                "sidecar_http": f"http://{each.http_address}",
            }
            for each in stack.members.values()
        ],
    }


def _show(stack: Stack, console: Console, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(described(stack)) + "\n")
        sys.stdout.flush()
        return
    table = Table(title="The stack is up", box=box.SIMPLE_HEAD)
    for column in ("realm", "replica", "TLS", "Prometheus", "sidecar: gRPC", "sidecar: HTTP"):
        table.add_column(column, no_wrap=True)
    for each in stack.members.values():
        tls = "none" if each.realm == PLAINTEXT else "mTLS"
        table.add_row(
            each.realm, each.replica, tls, each.prometheus.address, each.grpc_address, each.http_address
        )  # fmt: skip
    console.print(table)
    for leaf in (*stack.leaves.values(), stack.querier):
        console.print(
            f"{leaf.name}: gRPC with mTLS on {leaf.grpc_address}, HTTP on http://{leaf.http_address}",
            highlight=False,
        )
    client = stack.front.client
    console.print(
        f"\nEndpoints and certificates:\n  curl -s http://{stack.querier.http_address}/api/v1/stores\n"
        f"Rules of all realms:\n  grpcurl -cacert {stack.front.trust.ca_file} -cert {client.cert_file}"
        f" -key {client.key_file} \\\n    -d '{{}}' {stack.querier.grpc_address} thanos.Rules/Rules\n"
        f"\nLogs and certificates are in {stack.directory}. Ctrl-C ends everything.",
        highlight=False,
        soft_wrap=True,
    )
