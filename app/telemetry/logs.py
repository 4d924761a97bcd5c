"""Logs: one line an event, logfmt or JSON, on stderr, never with key material."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_KEY_MATERIAL = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE[ ]KEY-----.*?(-----END [A-Z ]*PRIVATE[ ]KEY-----|$)", re.DOTALL
)
# What these say at info is of no use to an operator.
_QUIET = ("asyncio", "h2", "hpack", "grpclib", "numba", "uvicorn", "uvicorn.error", "watchfiles")

Event = MutableMapping[str, Any]


def _without_keys(_: object, __: str, event: Event) -> Event:
    for name, value in event.items():
        if isinstance(value, str) and "PRIVATE KEY" in value:
            event[name] = _KEY_MATERIAL.sub("[key removed]", value)
    return event


def _one_line(_: object, __: str, event: Event) -> Event:
    for name, value in event.items():
        if isinstance(value, str) and "\n" in value:
            event[name] = value.strip().replace("\n", " | ")
    return event


def _thanos_level(_: object, __: str, event: Event) -> Event:
    if event.get("level") == "warning":
        event["level"] = "warn"
    return event


def configure(level: str, format: str) -> None:
    """Set up structlog and the standard library's logging; may be called again.

    :param level: debug, info, warn or error.
    :param format: logfmt or json.
    """
    threshold = _LEVELS[level]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _thanos_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("msg"),
        _without_keys,
    ]
    if format == "json":
        rendering: list[Any] = [structlog.processors.JSONRenderer()]
    else:
        order = ["ts", "level", "msg"]
        rendering = [_one_line, structlog.processors.LogfmtRenderer(key_order=order, drop_missing=True)]
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
