"""What every request to the endpoints begins with: its matchers read, the endpoints for it found."""

from collections.abc import Sequence

from app.endpoints.model import Snapshot
from app.errors import CallError, Code
from app.fanout.metrics import FanoutMetrics
from app.fanout.model import FanoutOptions, RequestContext
from app.fanout.partial import Warnings, report_missing
from app.fanout.selection import Choice, Matcher, against_selector, choose, compiled
from app.pb.thanos import LabelNamesRequest, LabelValuesRequest, SeriesRequest

BATCH = 64
"""Series to a message that endpoints are asked for: one a message costs twice the time to receive."""
SMALLEST_WINDOW = 256 * 1024

Request = SeriesRequest | LabelNamesRequest | LabelValuesRequest


def narrowed(request: Request, options: FanoutOptions) -> list[Matcher] | None:
    """Take the matchers out of `request` that the querier's own labels decide; the others, compiled, or None
    when they contradict.

    :raises CallError: a matcher is not valid, or a request for series has none left.
    """
    matchers = [compiled(matcher) for matcher in request.matchers]
    selected = against_selector(matchers, options.selector_labels)
    if not selected.matches:
        return None
    if isinstance(request, SeriesRequest) and not selected.remaining:
        raise CallError(Code.INVALID_ARGUMENT, "no matchers specified (excluding selector labels)")
    request.matchers = [request.matchers[position] for position in selected.remaining]
    return [matchers[position] for position in selected.remaining]


def chosen(
    snapshot: Snapshot,
    matchers: Sequence[Matcher],
    times: tuple[int, int],
    replica_labels: Sequence[str],
    method: str,
    *,
    context: RequestContext,
    options: FanoutOptions,
    warnings: Warnings,
    metrics: FanoutMetrics,
) -> Choice:
    """The endpoints for a request, which the choice's matchers are to be added to; those that are missing are
    reported.

    :param times: first and last of what is asked for, milliseconds since the epoch.
    :raises CallError: there is no endpoint at all, or one is missing, and the client wants all.
    """
    if not snapshot.endpoints and warnings.abort:
        raise CallError(Code.UNAVAILABLE, "No StoreAPIs available")
    choice = choose(
        snapshot,
        matchers,
        *times,
        frozenset(replica_labels),
        store_matchers=context.store_matchers,
        tsdb_selector=options.tsdb_selector,
    )
    metrics.asked.labels(method).observe(len(choice.asked))
    report_missing(choice, options.missing_endpoints, warnings, metrics, method)
    return choice


def stream_window(options: FanoutOptions, streams: int) -> int:
    """Bytes that each of so many streams may send ahead of its reader."""
    return max(SMALLEST_WINDOW, options.request_budget // max(1, streams))
