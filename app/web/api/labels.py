"""`/labels`, `/label/NAME/values` and `/series`."""

import re
import time
from collections.abc import Awaitable, Callable

import msgspec

from app.config.query_options import QueryOptions
from app.engine.promql.quoting import quoted
from app.fanout.fanout import Fanout
from app.fanout.model import RequestContext
from app.pb.thanos import (
    LabelMatcher,
    LabelNamesRequest,
    LabelNamesResponse,
    LabelValuesRequest,
    LabelValuesResponse,
    PartialResponseStrategy,
    SeriesRequest,
)
from app.web.api import parameters
from app.web.api.envelope import Result, result_of
from app.web.api.errors import bad_data
from app.web.api.handling import Call
from app.web.api.matching import MATCH, match_sets, store_matchers
from app.web.api.queries import TRUNCATED
from app.web.api.series import LabelSets, series_json
from app.web.api.tenancy import Tenant, tenant_of

ANY_RESOLUTION = 2**63 - 1
_ESCAPED = re.compile(r"__|_([0-9a-fA-F]{1,6})_|_")

Found = tuple[list[str], list[str]]
"""Names or values, and warnings."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a request is about.

    :param start, end: milliseconds since the epoch, both inclusive.
    :param limit: of results; 0: all.
    :param abort: whether an endpoint that fails fails the request.
    :param sets: of matchers, of which any may match; none: everything may.
    """

    start: int
    end: int
    limit: int
    abort: bool
    sets: list[list[LabelMatcher]]
    context: RequestContext

    @property
    def strategy(self) -> PartialResponseStrategy:
        return PartialResponseStrategy.ABORT if self.abort else PartialResponseStrategy.WARN

    @property
    def hint(self) -> int:
        """The limit for the endpoints: one more, to know whether there are more."""
        return min(self.limit + 1, parameters.MAX_INT64) if self.limit else 0


class Labels:
    """Stateless.

    :param replica_labels: those of the flags.
    :param now: seconds since the epoch.
    """

    def __init__(
        self,
        fanout: Fanout,
        options: QueryOptions,
        replica_labels: tuple[str, ...],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._fanout = fanout
        self._options = options
        self._replica_labels = replica_labels
        self._now = now

    async def names(self, call: Call) -> Result:
        """Names of labels, sorted."""
        asked = self._asked(call)

        async def ask(matchers: list[LabelMatcher]) -> Found:
            request = LabelNamesRequest(
                partial_response_disabled=asked.abort,
                partial_response_strategy=asked.strategy,
                start=asked.start,
                end=asked.end,
                matchers=matchers,
                limit=asked.hint,
            )
            answer = LabelNamesResponse.parse(await self._fanout.label_names(bytes(request), asked.context))
            return answer.names, answer.warnings

        return await _united(asked, ask)

    async def values(self, call: Call) -> Result:
        """Values of one label, sorted."""
        name = unescaped(call.path["name"])
        if not name or "\ufffd" in name:
            raise bad_data(f"invalid label name: {quoted(name)}")
        asked = self._asked(call)

        async def ask(matchers: list[LabelMatcher]) -> Found:
            request = LabelValuesRequest(
                label=name,
                partial_response_disabled=asked.abort,
                partial_response_strategy=asked.strategy,
                start=asked.start,
                end=asked.end,
                matchers=matchers,
                limit=asked.hint,
            )
            answer = LabelValuesResponse.parse(await self._fanout.label_values(bytes(request), asked.context))
            return answer.values, answer.warnings

        return await _united(asked, ask)

    async def series(self, call: Call) -> Result:
        """Label sets of series that any selector matches, sorted."""
        if not call.form.all(MATCH):
            raise bad_data("no match[] parameter provided")
        asked = self._asked(call)
        dedup = parameters.switch_of(call.form, "dedup", True)
        without = call.form.all("replicaLabels[]") or self._replica_labels
        found = LabelSets(self._options.series_limit)
        for matchers in asked.sets:
            request = SeriesRequest(
                min_time=asked.start,
                max_time=asked.end,
                matchers=matchers,
                max_resolution_window=ANY_RESOLUTION,
                partial_response_disabled=asked.abort,
                partial_response_strategy=asked.strategy,
                skip_chunks=True,
                without_replica_labels=list(without) if dedup else [],
                limit=asked.hint,
            )
            found.begin()
            await self._fanout.series(bytes(request), asked.context, found.receive)
        keys, cut = found.sorted(asked.limit)
        return Result(series_json(keys), [*found.warnings, *([TRUNCATED] if cut else [])])

    def _asked(self, call: Call) -> Asked:
        """What the three have in common.

        :raises ApiError: a parameter is wrong.
        """
        form, options = call.form, self._options
        start, end = parameters.metadata_range(form, options, round(self._now() * 1000))
        tenant: Tenant = tenant_of(call, options.tenancy)
        return Asked(
            start=start,
            end=end,
            limit=parameters.limit_of(form),
            abort=not parameters.switch_of(form, "partial_response", options.partial_response.query),
            sets=match_sets(form, tenant),
            context=RequestContext(
                metadata=tenant.metadata, timeout=options.timeout, store_matchers=store_matchers(form)
            ),
        )


async def _united(asked: Asked, ask: Callable[[list[LabelMatcher]], Awaitable[Found]]) -> Result:
    """What is found for any of the sets of matchers."""
    found, warnings = set[str](), list[str]()
    for matchers in asked.sets or [[]]:
        texts, said = await ask(matchers)
        found.update(texts)
        warnings.extend(said)
    everything = sorted(found)
    if 0 < asked.limit < len(everything):
        everything = everything[: asked.limit]
        warnings.append(TRUNCATED)
    return result_of(everything, warnings)


def unescaped(name: str) -> str:
    """The name of a label that a path may not be able to carry: ``U__`` begins it, ``__`` is an underscore,
    ``_2e_`` the character of that code. What cannot be read so is the name itself."""
    if not name.startswith("U__"):
        return name
    parts: list[str] = []
    body = name[3:]
    for match in _ESCAPED.finditer(body):
        code = match.group(1)
        if match.group() == "_" or (code and not _is_character(int(code, 16))):
            return name
    at = 0
    for match in _ESCAPED.finditer(body):
        parts += [body[at : match.start()], chr(int(match.group(1), 16)) if match.group(1) else "_"]
        at = match.end()
    return "".join(parts) + body[at:]


def _is_character(code: int) -> bool:
    return code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF
