"""What the endpoints are asked for, from a selector and its surroundings. Pure."""

from collections.abc import Sequence

from app.engine.model import Hints
from app.engine.promql.ast import Matcher
from app.engine.promql.quoting import utf8
from app.engine.select.model import SelectOptions
from app.errors import CallError, Code
from app.fanout.choosing import BATCH
from app.fanout.wire import field, number
from app.pb.thanos import (
    Aggr,
    Func,
    Grouping,
    LabelMatcher,
    LabelMatcherType,
    PartialResponseStrategy,
    QueryHints,
    Range,
    SeriesRequest,
    ShardInfo,
)
from app.rpc.messages import parsed

COUNTERS = frozenset(("rate", "increase", "irate"))
"""Functions to which a falling value is a reset: merging replicas must not make one. `resets` is none of
them: it is asked for what the adjustment takes out."""
_RESET_REMOVING = COUNTERS | {"resets", "xrate", "xincrease"}
_TWO_SAMPLES = frozenset(
    (
        "rate", "irate", "increase", "delta", "idelta", "deriv", "predict_linear", "holt_winters",
        "double_exponential_smoothing",
    )
)  # fmt: skip
"""Functions that need two samples in their range."""
_OPERATORS = {
    "=": LabelMatcherType.EQ,
    "!=": LabelMatcherType.NEQ,
    "=~": LabelMatcherType.RE,
    "!~": LabelMatcherType.NRE,
}


def series_request(matchers: Sequence[Matcher], hints: Hints, options: SelectOptions) -> SeriesRequest:
    """The request that every endpoint gets.

    :raises CallError: `options.shard_info` is no ShardInfo.
    """
    return SeriesRequest(
        min_time=hints.start,
        max_time=hints.end,
        matchers=label_matchers(matchers),
        max_resolution_window=resolution(hints, options.max_resolution),
        aggregates=list(aggregates(hints.func)),
        partial_response_disabled=options.abort,
        partial_response_strategy=PartialResponseStrategy(1 if options.abort else 0),
        step=hints.step,
        range=hints.range,
        query_hints=QueryHints(
            step_millis=hints.step,
            func=Func(name=hints.func) if hints.func else None,
            grouping=Grouping(by=hints.by, labels=[utf8(name) for name in hints.grouping])
            if hints.by or hints.grouping
            else None,
            range=Range(millis=hints.range) if hints.range else None,
        ),
        shard_info=parsed(ShardInfo, options.shard_info) if options.shard_info else None,
        without_replica_labels=list(options.replica_labels) if options.dedup else [],
        response_batch_size=BATCH,
    )


def encoded(request: SeriesRequest) -> bytes:
    """A request of `series_request` on the wire: as ``bytes(request)``, in a tenth of its time."""
    hints, shard = request.query_hints, request.shard_info
    return b"".join(
        (
            number(1, request.min_time),
            number(2, request.max_time),
            *(field(3, _matcher(each)) for each in request.matchers),
            number(4, request.max_resolution_window),
            field(5, bytes(request.aggregates)) if request.aggregates else b"",
            number(6, request.partial_response_disabled),
            number(7, request.partial_response_strategy),
            number(10, request.step),
            number(11, request.range),
            field(12, _query_hints(hints)) if hints is not None else b"",
            field(13, bytes(shard)) if shard is not None else b"",
            *(field(14, name.encode()) for name in request.without_replica_labels),
            number(16, request.response_batch_size),
        )
    )


def _matcher(matcher: LabelMatcher) -> bytes:
    return number(1, matcher.type) + _text(2, matcher.name) + _text(3, matcher.value)


def _text(place: int, text: str) -> bytes:
    return field(place, text.encode()) if text else b""


def _query_hints(hints: QueryHints) -> bytes:
    func, grouping, window = hints.func, hints.grouping, hints.range
    parts = [number(1, hints.step_millis)]
    if func is not None:
        parts.append(field(2, _text(1, func.name)))
    if grouping is not None:
        labels = b"".join(field(3, label.encode()) for label in grouping.labels)
        parts.append(field(4, number(1, grouping.by) + labels))
    if window is not None:
        parts.append(field(5, number(1, window.millis)))
    return b"".join(parts)


def label_matchers(matchers: Sequence[Matcher]) -> list[LabelMatcher]:
    """As the StoreAPI has them, whose strings are UTF-8, as labels are: no series has what is not."""
    return [
        LabelMatcher(type=_OPERATORS[matcher.op], name=utf8(matcher.name), value=utf8(matcher.value))
        for matcher in matchers
    ]


def aggregates(func: str) -> tuple[Aggr, ...]:
    """What of downsampled data a function wants; count and sum together: their quotient."""
    for name, wanted in (("min", Aggr.MIN), ("max", Aggr.MAX), ("count", Aggr.COUNT)):
        if func == name or func.startswith(name + "_"):
            return (wanted,)
    if func.startswith("sum_"):
        return (Aggr.SUM,)  # `sum` itself adds up series, and wants their samples
    if func in _RESET_REMOVING:
        return (Aggr.COUNTER,)
    return (Aggr.COUNT, Aggr.SUM)


def resolution(hints: Hints, most: int) -> int:
    """Milliseconds between samples that will do: at most `most`, and two of them in the range where the
    function needs two."""
    if hints.range > 0 and hints.func in _TWO_SAMPLES:
        return min(most, hints.range // 2)
    return most


def invalid(text: str, error: Exception) -> CallError:
    """A selector of stores that cannot be read."""
    return CallError(Code.INVALID_ARGUMENT, f"store matcher {text!r}: {error}")
