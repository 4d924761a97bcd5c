"""A question to a server with the HTTP API of Prometheus."""

import os
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import aiohttp
import anyio
import msgspec
from prometheus_client import CollectorRegistry

from app.config.http_client import load_http_client
from app.config.model import HttpClientConfig
from app.endpoints.client_tls import client_material
from app.errors import CallError, Code, ConfigError, FailureKind, Problem
from app.sidecar.client import MAX_ANSWER, PrometheusClient
from app.terminal.model import Envelope, Question
from app.tls.cache import CertificateCache
from app.tls.metrics import TlsMetrics
from app.tls.model import Role

_FORM = {"content-type": "application/x-www-form-urlencoded", "user-agent": "crossrealm-promql"}
_MOST_SAID = 64 * 1024
"""Bytes of an error."""
_LONGEST_LINE = 200
_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
"""What OpenSSL makes of something else."""
_TLS_FILE = "see tls_config of --http-client-file"
_ADVICE = {
    401: " (credentials are in --http-client-file)",
    404: " (--url is what stands before /api/v1)",
}
"""By status."""


class _Client(PrometheusClient):
    """Errors of the API are passed on in the server's words; others with what to do about them."""

    async def _refusal(self, answer: aiohttp.ClientResponse, path: str) -> CallError:
        body = await answer.content.read(_MOST_SAID)
        try:
            said = msgspec.json.decode(body, type=Envelope).error
        except msgspec.MsgspecError:
            said = ""
        if said:
            return CallError(Code.UNKNOWN, said)
        text = f"{self.shown}{path} answered {answer.status} {answer.reason}"
        if answer.content_type == "text/plain" and (line := body.decode(errors="replace").strip()):
            text += f": {line.splitlines()[0][:_LONGEST_LINE]}"
        return CallError(Code.UNKNOWN, text + _ADVICE.get(answer.status, ""))

    def _unreached(self, error: Exception, path: str) -> CallError:
        return CallError(Code.UNAVAILABLE, f"{self.shown}: {_reason(error)}", FailureKind.CONNECT)


def _reason(error: Exception) -> str:
    """Why there is no answer, without what aiohttp says about itself."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        said = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
        return f"its certificate is refused: {said} ({_TLS_FILE})"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        cause = str(getattr(error.os_error, "reason", None) or error.os_error)
        if cause in _NOT_TLS:
            return "it does not speak TLS (write http://)"
        return f"the TLS handshake failed: {cause.lower().replace('_', ' ')} ({_TLS_FILE})"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        known = number is not None and number > 0 and not isinstance(error, aiohttp.ClientConnectorDNSError)
        said = os.strerror(number or 0) if known else error.os_error.strerror or str(error.os_error)
        return f"cannot connect: {said[:1].lower()}{said[1:]}"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientResponseError):
        return "what answers there is no HTTP server, or wants TLS (https://)"
    return str(error) or type(error).__name__


async def ask_url(url: str, config_file: Path | None, question: Question) -> bytes:
    """The answer.

    :param url: what stands before ``/api/v1``.
    :param config_file: how to get there: TLS, credentials, a proxy.
    :raises ConfigError: the URL or the file is at fault.
    :raises CallError: the server cannot be reached, or says that the query failed.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError([Problem("--url", f"{url!r} is not an http or https URL")])
    config = load_http_client(config_file) if config_file is not None else HttpClientConfig()
    cache = CertificateCache(metrics=TlsMetrics(CollectorRegistry()))
    body, failure = b"", None
    async with anyio.create_task_group() as tasks:
        await tasks.start(cache.run)
        tls = None
        if config.tls is not None:
            tls = cache.provider("url", Role.CLIENT, *client_material(config.tls, alpn=("http/1.1",)))
        client = _Client(url.rstrip("/"), config, tls)
        try:
            with anyio.fail_after(question.timeout):
                body = await _ask(client, question)
        except CallError as error:  # raised below, since a task group would wrap it
            failure = error
        except TimeoutError:
            text = f"{client.shown}: no answer within {question.timeout:g} s (--timeout)"
            failure = CallError(Code.DEADLINE_EXCEEDED, text)
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return body


async def _ask(client: PrometheusClient, question: Question) -> bytes:
    fields = [("query", question.text), ("timeout", f"{question.timeout:g}s")]
    fields += [("replicaLabels[]", label) for label in question.replica_labels]
    path = "/api/v1/query_range" if question.step else "/api/v1/query"
    if question.step:
        fields += [("start", _seconds(question.start)), ("end", _seconds(question.end))]
        fields += [("step", _seconds(question.step))]
    else:
        fields.append(("time", _seconds(question.start)))
    body = bytearray()
    async with client, client.post(path, urlencode(fields).encode(), _FORM) as answer:
        async for part in answer.content.iter_any():
            body += part
            if len(body) > MAX_ANSWER:
                raise CallError(Code.RESOURCE_EXHAUSTED, f"the answer is larger than {MAX_ANSWER} bytes")
    return bytes(body)


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f}"
