"""One request to every endpoint that offers an API; all answers together, and what is missing from them.

These answers are small beside series, and merging needs all of them, so they are collected; what one endpoint
may send is bounded.
"""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import anyio
import anyio.to_thread
import betterproto2

from app.config.model import MissingEndpoints
from app.endpoints.model import MAX_TIME, MIN_TIME, Api, EndpointSource, EndpointView
from app.errors import CallError, Code, FailureKind
from app.fanout.metrics import FanoutMetrics
from app.fanout.model import RequestContext
from app.fanout.partial import Warnings, name_of, report_missing
from app.fanout.scope import EVERYTHING, Scope
from app.fanout.selection import choose
from app.rpc.messages import parsed

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes that one endpoint may answer with."""
LARGE = 64 * 1024
"""Bytes from which on messages are parsed in a thread: it takes about a millisecond for so many."""
PREFIX = 5

R = TypeVar("R", bound=betterproto2.Message)

Asked = Callable[[EndpointView], bytes | None]
"""The request for an endpoint; None: it cannot have anything of it."""


class Collecting(Generic[R]):
    """Stateless: one API.

    :param method: ``/thanos.Rules/Rules``.
    :param response: the message that streams.
    :param missing: what an endpoint does to an answer that it is missing from.
    :param response_timeout: seconds that one endpoint is waited for; 0 is no limit.
    """

    def __init__(
        self,
        source: EndpointSource,
        *,
        api: Api,
        method: str,
        response: type[R],
        missing: MissingEndpoints,
        response_timeout: float,
        metrics: FanoutMetrics,
    ) -> None:
        self._source = source
        self._api = api
        self._method = method
        self._name = method.rpartition("/")[2]
        self._response = response
        self._missing = missing
        self._timeout = response_timeout or None
        self._metrics = metrics

    async def collect(
        self,
        asked: Asked,
        context: RequestContext,
        warnings: Warnings,
        replica_labels: frozenset[str],
        scope: Scope = EVERYTHING,
    ) -> list[R]:
        """All answers, in the order of the endpoints; what is missing is noted in `warnings`.

        :param replica_labels: labels that tell replicas apart: a healthy one stands in for one that is not.
        :param scope: endpoints that can have nothing of it are not asked; what they answer is not narrowed.
        :raises CallError: something is missing, and the client wants all or nothing.
        """
        with self._source.lease() as snapshot:
            choice = choose(
                snapshot,
                scope.compiled,
                MIN_TIME,
                MAX_TIME,
                replica_labels,
                self._api,
                store_matchers=context.store_matchers,
            )
            requests = {view.address: asked(view) for view in (*choice.asked, *choice.missing)}
            missing = tuple(view for view in choice.missing if requests[view.address] is not None)
            report_missing(
                type(choice)(choice.asked, missing), self._missing, warnings, self._metrics, self._name
            )
            views = [view for view in choice.asked if requests[view.address] is not None]
            self._metrics.asked.labels(self._name).observe(len(views))
            answers: dict[str, list[R]] = {}
            failures: dict[str, str] = {}
            async with anyio.create_task_group() as tasks:

                async def ask(view: EndpointView, request: bytes) -> None:
                    try:
                        answers[view.address] = await self._ask(view, request, context)
                    except CallError as error:
                        self._metrics.failures.labels(view.group, self._name).inc()
                        failures[view.address] = f"receive {self._api} from {name_of(view)}: {error}"
                        if warnings.abort:
                            tasks.cancel_scope.cancel()

                for view in views:
                    tasks.start_soon(ask, view, requests[view.address] or b"")
            for view in views:
                if view.address in failures:
                    warnings.add(failures[view.address])
            return [answer for view in views for answer in answers.get(view.address, ())]

    async def _ask(self, view: EndpointView, request: bytes, context: RequestContext) -> list[R]:
        content = bytearray()
        async with view.channel.stream(
            self._method, request, timeout=context.timeout, metadata=context.metadata
        ) as stream:
            while True:
                try:
                    with anyio.fail_after(self._timeout):
                        block = await stream.next_block()
                except TimeoutError:
                    raise CallError(
                        Code.DEADLINE_EXCEEDED,
                        f"no answer within {self._timeout:g} s (--store.response-timeout)",
                        FailureKind.TIMEOUT,
                    ) from None
                if block is None:
                    break
                content += block
                if len(content) > MAX_ANSWER:
                    raise CallError(
                        Code.RESOURCE_EXHAUSTED,
                        f"the answer is larger than {MAX_ANSWER} bytes",
                        FailureKind.PROTOCOL,
                    )
        if len(content) < LARGE:
            return self._parsed(bytes(content))
        return await anyio.to_thread.run_sync(self._parsed, bytes(content))

    def _parsed(self, content: bytes) -> list[R]:
        return [parsed(self._response, message, failure=Code.INTERNAL) for message in messages(content)]


def messages(content: bytes) -> Iterator[bytes]:
    """The messages in framed ones."""
    at = 0
    while at < len(content):
        end = at + PREFIX + int.from_bytes(content[at + 1 : at + PREFIX], "big")
        yield content[at + PREFIX : end]
        at = end
