"""A question to the endpoints themselves: the querier's own parts, for one query, in this process."""

from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
from prometheus_client import CollectorRegistry

from app.config.endpoints_source import load_either_format
from app.config.model import EndpointGroup, QuerySettings
from app.config.query_options import QueryOptions
from app.endpoints.model import Snapshot
from app.engine.model import EvaluationError
from app.engine.promql.errors import ParseError
from app.engine.promql.features import NO_FEATURES
from app.engine.promql.parser import parse
from app.engine.request import Answer, QueryRequest, QueryTimeout
from app.engine.select.model import SelectOptions
from app.errors import CallError, ConfigError, Problem
from app.lifecycle import Environment
from app.querier import Querier
from app.terminal.model import QueryFailed, Question
from app.tls.cache import CertificateCache
from app.tls.metrics import TlsMetrics
from app.web.api.encoding import query_data

FIRST_ROUND = 10.0
"""Seconds that endpoints have to say what they hold; who has not by then is missing from the answer."""


async def ask_endpoints(path: Path, question: Question) -> bytes:
    """The answer, as the HTTP API would write it.

    :param path: of an endpoints file, in our format or in Thanos's.
    :raises ConfigError: the file is at fault.
    :raises QueryFailed: the query is none, or cannot be answered.
    """
    config = await anyio.to_thread.run_sync(load_either_format, path)
    if not any(group.endpoints or group.sd_files for group in config.groups):
        raise ConfigError([Problem(str(path), "no endpoints are configured")])
    try:
        parse(question.text, NO_FEATURES)  # before anybody is asked
        answer = await _answer(config.groups, question)
    except (ParseError, EvaluationError, QueryTimeout) as error:
        raise QueryFailed(str(error)) from None
    except CallError as error:
        raise QueryFailed(error.message) from None
    return await anyio.to_thread.run_sync(_written, answer, question.text)


async def _answer(groups: tuple[EndpointGroup, ...], question: Question) -> Answer:
    settings = QuerySettings(
        groups=groups,
        endpoints_reload=False,
        replica_labels=question.replica_labels,
        query=QueryOptions(timeout=question.timeout),
    )
    registry = CollectorRegistry()
    cache = CertificateCache(metrics=TlsMetrics(registry))
    answer: Answer | None = None
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        await tasks.start(cache.run)
        querier = Querier(settings, Environment(registry, cache))
        await tasks.start(querier.run)
        with anyio.move_on_after(min(FIRST_ROUND, question.timeout)):
            await querier.endpoints.wait_first_round()
        try:
            _somebody(querier.endpoints.snapshot())
            answer = await querier.engine.query(_request(question))
        except Exception as error:  # raised below, since a task group would wrap it
            failure = error
        tasks.cancel_scope.cancel()
    if answer is None:
        raise failure or QueryFailed("the query was cancelled")
    return answer


def _somebody(snapshot: Snapshot) -> None:
    """
    :raises QueryFailed: there is nobody to ask; with the reason of each.
    """
    if any(view.asked for view in snapshot.endpoints):
        return
    reasons = [
        f"{view.group}/{view.address}: {view.last_error or 'it has not answered yet'}"
        for view in snapshot.endpoints
    ]
    raise QueryFailed("; ".join(("no endpoint can be asked", *reasons)))


def _request(question: Question) -> QueryRequest:
    return QueryRequest(
        text=question.text,
        start=question.start,
        end=question.end,
        step=question.step,
        timeout=question.timeout,
        select=SelectOptions(replica_labels=question.replica_labels),
    )


def _written(answer: Answer, text: str) -> bytes:
    said = answer.annotations
    warnings = [*answer.warnings, *said.texts("warning", text), *said.texts("info", text)]
    end = b',"warnings":' + msgspec.json.encode(warnings) + b"}" if warnings else b"}"
    return b'{"status":"success","data":' + b"".join(query_data(answer.found, None)) + end
