"""What the flags of `crossrealm sidecar` say, turned into settings, with all faults at once."""

import datetime
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from app.config.durations import parse_duration
from app.config.http_client import load_http_client, parse_http_client
from app.config.listener_flags import ListenerFlags, ListenerReader
from app.config.model import HttpClientConfig, MinTime, SidecarSettings
from app.errors import ConfigError, Problem

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})")
_BEGINNING = "0000-01-01T00:00:00Z"


class SidecarFlags(ListenerFlags, frozen=True, kw_only=True):
    """The flags as they were given; durations are seconds. Names are the flags', dots and dashes as
    underscores."""

    prometheus_url: str = "http://localhost:9090"
    prometheus_get_config_interval: float = 30.0
    prometheus_get_config_timeout: float = 30.0
    prometheus_http_client: str = ""
    prometheus_http_client_file: str = ""
    tsdb_path: str = "./data"
    min_time: str = _BEGINNING
    store_limits_request_series: int = 0
    store_limits_request_samples: int = 0
    sidecar_resort_buffer: int = 256 * 1024 * 1024


def sidecar_settings(
    flags: SidecarFlags, problems: Sequence[Problem] = (), warnings: Sequence[str] = ()
) -> SidecarSettings:
    """Settings of `crossrealm sidecar`.

    :param problems: what is known to be wrong already.
    :param warnings: what is to be said already.
    :raises ConfigError: with every fault of the flags and of the HTTP client's file.
    """
    return _Reader(flags, problems).settings(tuple(warnings))


def parse_min_time(text: str) -> MinTime:
    """A time in RFC 3339, or a duration relative to now: ``-2w`` is two weeks ago.

    :raises ValueError: with what is wrong.
    """
    if text == _BEGINNING:
        return MinTime()
    if _INSTANT.fullmatch(text):
        moment = datetime.datetime.fromisoformat(text.upper())
        return MinTime(at=round(moment.timestamp() * 1000))
    try:
        if text.startswith("-"):
            return MinTime(from_now=-parse_duration(text[1:]))
        return MinTime(from_now=parse_duration(text))
    except ValueError:
        raise ValueError(
            f"{text!r} is neither a time nor a duration; write for example 2026-01-31T00:00:00Z or -2w"
        ) from None


class _Reader(ListenerReader):
    """Mutable: the problems found so far."""

    def __init__(self, flags: SidecarFlags, problems: Sequence[Problem]) -> None:
        super().__init__(flags, problems)
        self._flags = flags

    def settings(self, warnings: tuple[str, ...]) -> SidecarSettings:
        flags = self._flags
        self._check_url()
        self.not_zero("--prometheus.get_config_interval", flags.prometheus_get_config_interval)
        self.not_zero("--prometheus.get_config_timeout", flags.prometheus_get_config_timeout)
        for flag, value in (
            ("--store.limits.request-series", flags.store_limits_request_series),
            ("--store.limits.request-samples", flags.store_limits_request_samples),
        ):
            if value < 0:
                self.problem(flag, f"{value} is below 0", "0 is no limit")
        grpc, http = self.grpc(), self.http()
        client = self._client()
        min_time = MinTime()
        try:
            min_time = parse_min_time(flags.min_time)
        except ValueError as error:
            self.problem("--min-time", str(error))
        if self.problems:
            raise ConfigError(self.problems)
        return SidecarSettings(
            grpc=grpc,
            http=http,
            log=self.log(),
            drain_window=flags.tls_drain_window,
            prometheus_url=flags.prometheus_url.rstrip("/"),
            http_client=client,
            heartbeat_interval=flags.prometheus_get_config_interval,
            heartbeat_timeout=flags.prometheus_get_config_timeout,
            min_time=min_time,
            max_series=flags.store_limits_request_series,
            max_samples=flags.store_limits_request_samples,
            resort_buffer=flags.sidecar_resort_buffer,
            warnings=warnings,
        )

    def _check_url(self) -> None:
        url = urlsplit(self._flags.prometheus_url)
        try:
            bad = url.scheme not in ("http", "https") or not url.hostname or url.port == 0
        except ValueError:
            bad = True
        if bad or url.query or url.fragment:
            self.problem(
                "--prometheus.url",
                f"{self._flags.prometheus_url!r} is not the URL of a Prometheus",
                "write for example http://127.0.0.1:9090",
            )

    def _client(self) -> HttpClientConfig:
        flags = self._flags
        if flags.prometheus_http_client and flags.prometheus_http_client_file:
            self.problem(
                "--prometheus.http-client", "it excludes --prometheus.http-client-file", "use one of them"
            )
        try:
            if flags.prometheus_http_client_file:
                return load_http_client(Path(flags.prometheus_http_client_file))
            return parse_http_client(flags.prometheus_http_client, "--prometheus.http-client")
        except ConfigError as error:
            self.problems.extend(error.problems)
            return HttpClientConfig()
