"""Flags of `thanos query` and `thanos sidecar` that do nothing here, or that are refused; and why.

A flag that is ignored in silence is a trap: each warns, and those whose effect somebody relies on (uploads)
stop the start.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

import click
import msgspec

from app.cli.options import PUT_OFF
from app.errors import Problem

WARNINGS = "crossrealm.warnings"
"""Where a command finds what its flags gave rise to."""


class Fate(StrEnum):
    NO_OP = "no-op"
    REFUSED = "refused"


class Deviation(msgspec.Struct, frozen=True):
    """
    :param names: the flag and its aliases; of a switch with its ``--no-`` form, the positive one.
    :param switch: takes no value.
    """

    names: tuple[str, ...]
    fate: Fate
    reason: str
    switch: bool = False


_DISTRIBUTED = "all is evaluated here, over the series of all endpoints; no part is handed to queriers below"
_TRACING = "no traces are made here"
_GO = "it is for Go's runtime; limit the process by its cgroup instead"
_LOGGING = "requests are counted and timed in grpc_server_*; they are not logged"
_UPLOAD = "no blocks are uploaded here, and without it they would be lost; run a thanos sidecar for uploads"
_RELOADER = "nothing is reloaded here; run a config reloader beside Prometheus"


def _no_ops(reason: str, *names: str, switch: bool = False) -> list[Deviation]:
    return [Deviation((name,), Fate.NO_OP, reason, switch) for name in names]


def _refused(reason: str, *names: str, switch: bool = False) -> list[Deviation]:
    return [Deviation((name,), Fate.REFUSED, reason, switch) for name in names]


_BOTH = [
    *_no_ops(_TRACING, "--tracing.config", "--tracing.config-file"),
    *_no_ops(_LOGGING, "--request.logging-config", "--request.logging-config-file"),
    *_no_ops(_GO, "--auto-gomemlimit.ratio"),
    *_no_ops(_GO, "--enable-auto-gomemlimit", switch=True),
]

DEVIATIONS: dict[str, Sequence[Deviation]] = {
    "query": [
        *_BOTH,
        *_no_ops(_DISTRIBUTED, "--query.mode", "--query.partition-label"),
        *_no_ops(_DISTRIBUTED, "--query.distributed-with-overlapping-interval", switch=True),
        *_no_ops(
            "there is one engine, which falls back to no other", "--query.disable-fallback", switch=True
        ),
        *_no_ops(
            "xrate, xincrease and xdelta are not known; anchored and smoothed selectors are, with"
            " --enable-feature=promql-extended-range-selectors",
            "--query.enable-x-functions",
            switch=True,
        ),
        *_no_ops(
            "endpoints are asked with all parameters always", "--query.only-prometheus-params", switch=True
        ),
        *_no_ops(
            "the buckets of thanos_store_api_query_duration_seconds are fixed",
            "--query.telemetry.request-duration-seconds-quantiles",
            "--query.telemetry.request-samples-quantiles",
            "--query.telemetry.request-series-seconds-quantiles",
        ),
        *_no_ops("series are merged as they arrive", "--grpc.proxy-strategy"),
    ],
    "sidecar": [
        *_BOTH,
        *_no_ops("it is for uploads, which are not made here", "--hash-func", "--prometheus.ready_timeout"),
        *_refused(_UPLOAD, "--objstore.config", "--objstore.config-file"),
        *_refused(
            _UPLOAD,
            "--shipper.meta-file-name",
            "--shipper.upload-concurrency",
        ),
        *_refused(
            _UPLOAD,
            "--shipper.allow-out-of-order-uploads",
            "--shipper.ignore-unequal-block-size",
            "--shipper.skip-corrupted-blocks",
            "--shipper.upload-compacted",
            switch=True,
        ),
        *_refused(
            _RELOADER,
            "--reloader.config-envsubst-file",
            "--reloader.config-file",
            "--reloader.method",
            "--reloader.process-name",
            "--reloader.retry-interval",
            "--reloader.rule-dir",
            "--reloader.watch-interval",
        ),
    ],
}


def deviations(command: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Hidden options for the flags of Thanos that do nothing here.

    :param command: ``query`` or ``sidecar``.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for each in DEVIATIONS[command]:
            function = _option(each)(function)
        return function

    return decorate


def _option(deviation: Deviation) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    name = deviation.names[0]

    def note(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        # A switch that is switched off asks for what is the case anyway.
        if value in (None, False, ()):
            return
        if deviation.fate is Fate.REFUSED:
            ctx.meta.setdefault(PUT_OFF, []).append(Problem(name, deviation.reason, "remove the flag"))
        else:
            ctx.meta.setdefault(WARNINGS, []).append(f"{name}: it has no effect: {deviation.reason}")

    parameter = f"thanos_{name[2:].replace('.', '_').replace('-', '_')}"
    if deviation.switch:
        declaration = f"{name}/--no-{name[2:]}"
        return click.option(
            parameter, declaration, default=None, hidden=True, expose_value=False, callback=note
        )
    return click.option(parameter, name, multiple=True, hidden=True, expose_value=False, callback=note)
