"""Exemplars of all endpoints: what each is asked, and what becomes of the answers. Pure."""

from collections.abc import Iterable, Sequence

from app.endpoints.model import EndpointInfo, EndpointView, Labels
from app.errors import CallError, Code
from app.fanout.apis.labels import Compared, compared, stripped
from app.fanout.apis.selectors import parse_selectors, selector
from app.fanout.selection import against_selector, can_match, compiled
from app.pb.thanos import Exemplar, ExemplarData, ExemplarsRequest, LabelMatcher

QUERIER = "query"
"""The component that understands matchers on external labels; a Prometheus does not."""


class Selection:
    """Immutable: the series selectors of a query, less what the querier's own labels decide.

    :param enforced: matchers that every selector gets.
    :raises CallError: INVALID_ARGUMENT, the query is none or selects nothing.
    """

    def __init__(
        self, request: ExemplarsRequest, selector_labels: Labels, enforced: Sequence[LabelMatcher] = ()
    ) -> None:
        try:
            found = parse_selectors(request.query)
        except ValueError as error:
            raise CallError(Code.INVALID_ARGUMENT, f"query: {error}") from None
        self._request = request
        self._selectors: list[list[LabelMatcher]] = []
        self.contradicted = bool(found)
        for matchers in found:
            matchers.extend(enforced)
            own = against_selector([compiled(matcher) for matcher in matchers], selector_labels)
            if own.matches:
                self.contradicted = False
                self._selectors.append([matchers[position] for position in own.remaining])
        if not found or (not self.contradicted and not any(self._selectors)):
            raise CallError(Code.INVALID_ARGUMENT, "no matchers specified (excluding selector labels)")

    def for_endpoint(self, view: EndpointView) -> bytes | None:
        """What an endpoint is asked: the selectors that can match there, without the matchers that only
        it, and not the Prometheus behind it, could answer; None: nothing can."""
        info = view.info
        parts = [_asked(matchers, info) for matchers in self._selectors if _can(matchers, info)]
        if not parts:
            return None
        request = self._request
        return bytes(
            ExemplarsRequest(
                query="+".join(parts),
                start=request.start,
                end=request.end,
                partial_response_strategy=request.partial_response_strategy,
            )
        )


def _can(matchers: Sequence[LabelMatcher], info: EndpointInfo | None) -> bool:
    if info is None:
        return True
    everything = [compiled(matcher) for matcher in matchers]
    return can_match(info, everything, info.min_time, info.max_time)


def _asked(matchers: Sequence[LabelMatcher], info: EndpointInfo | None) -> str:
    external: set[str] = set()
    if info is not None and info.component != QUERIER:
        external = {name for labels in info.label_sets for name, _ in labels}
    return selector([matcher for matcher in matchers if matcher.name not in external])


def merged(answers: Iterable[ExemplarData], replica_labels: frozenset[str]) -> list[ExemplarData]:
    """By series, without replica labels, sorted; each exemplar once."""
    found: dict[Compared, ExemplarData] = {}
    for answer in answers:
        if not answer.exemplars:
            continue
        labels = stripped(answer.series_labels, replica_labels)
        known = found.setdefault(compared(labels), ExemplarData(series_labels=labels))
        known.exemplars.extend(answer.exemplars)
    for data in found.values():
        distinct = {_key(exemplar): exemplar for exemplar in data.exemplars}
        data.exemplars = [distinct[key] for key in sorted(distinct)]
    return [found[key] for key in sorted(found)]


def _key(exemplar: Exemplar) -> tuple[int, Compared, float]:
    return exemplar.ts, compared(exemplar.labels), exemplar.value
