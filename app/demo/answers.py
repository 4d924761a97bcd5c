"""What is asked, what the right answer is, and whether an answer is it.

A call failed if its status is not OK, or it carries a warning, or its series or chunk bytes differ from what
the stores hold. The status is the driver's to see; the rest is judged here. Pure.
"""

from collections.abc import Callable, Sequence

import msgspec

from app.demo import wire
from app.demo.dataset import REPLICA_LABEL, Dataset, merged
from app.pb.thanos import (
    LabelMatcher,
    LabelMatcherType,
    LabelNamesRequest,
    LabelNamesResponse,
    LabelValuesRequest,
    LabelValuesResponse,
    Series,
    SeriesRequest,
)

SERIES = "/thanos.Store/Series"
LABEL_NAMES = "/thanos.Store/LabelNames"
LABEL_VALUES = "/thanos.Store/LabelValues"

_SERIES_FIELD, _WARNING_FIELD, _BATCH_FIELD = 1, 2, 4
_BATCH = 64


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One request and how its answer is judged.

    :param judge: given the answer's bytes (of a stream, with the gRPC prefixes) returns what is wrong with
        them; "" when nothing is.
    """

    name: str
    method: str
    request: bytes
    judge: Callable[[bytes], str]

    @property
    def streams(self) -> bool:
        return self.method == SERIES


class SeriesJudge:
    """Mutable: the last answer that was right, kept by the call: most answers are the same bytes again.

    :param expected: the bytes of each `Series`, in order.
    """

    def __init__(self, expected: Sequence[bytes]) -> None:
        self._expected = list(expected)
        self._last_right: bytes | None = None

    def __call__(self, answer: bytes) -> str:
        if answer == self._last_right:
            return ""
        try:
            fault = self._fault(answer)
        except ValueError as error:
            return f"the answer cannot be read: {error}"
        if not fault:
            self._last_right = answer
        return fault

    def _fault(self, answer: bytes) -> str:
        found: list[bytes] = []
        for message in wire.unframed(answer):
            for number, payload in wire.fields(message):
                if number == _WARNING_FIELD and isinstance(payload, bytes):
                    return f"a warning: {payload.decode(errors='replace')}"
                if number == _SERIES_FIELD and isinstance(payload, bytes):
                    found.append(payload)
                elif number == _BATCH_FIELD and isinstance(payload, bytes):
                    found += [each for _, each in wire.fields(payload) if isinstance(each, bytes)]
        return self._difference(found)

    def _difference(self, found: Sequence[bytes]) -> str:
        if len(found) != len(self._expected):
            return f"{len(found)} series instead of {len(self._expected)}"
        for place, (got, wanted) in enumerate(zip(found, self._expected, strict=True)):
            # Another encoding of the same message is no fault, so the messages decide.
            if got != wanted and Series.parse(got) != Series.parse(wanted):
                return f"series {place} differs: {Series.parse(got)!r:.300}"
        return ""


class ListJudge:
    """Immutable: judges an answer of LabelNames or LabelValues.

    :param read: the answer's bytes -> (values, warnings).
    """

    def __init__(self, read: Callable[[bytes], tuple[list[str], list[str]]], expected: Sequence[str]) -> None:
        self._read = read
        self._expected = list(expected)

    def __call__(self, answer: bytes) -> str:
        try:
            values, warnings = self._read(answer)
        except Exception as error:  # betterproto2 raises whatever the broken bytes led it to
            return f"the answer cannot be read: {error}"
        if warnings:
            return f"a warning: {warnings[0]}"
        if values != self._expected:
            return f"{len(values)} values instead of {len(self._expected)}, or others"
        return ""


def _names(answer: bytes) -> tuple[list[str], list[str]]:
    message = LabelNamesResponse.parse(answer)
    return message.names, message.warnings


def _values(answer: bytes) -> tuple[list[str], list[str]]:
    message = LabelValuesResponse.parse(answer)
    return message.values, message.warnings


def matcher(kind: LabelMatcherType, name: str, value: str) -> LabelMatcher:
    return LabelMatcher(type=kind, name=name, value=value)


def ask_series(
    name: str,
    datasets: Sequence[Dataset],
    matchers: Sequence[LabelMatcher],
    *,
    dedup: bool = False,
    **more: int,
) -> Question:
    """:param dedup: the replica label is left out, so that replicas merge.
    :param more: fields of the request; `min_time` and `max_time` are all there is by default.
    """
    request = SeriesRequest(
        matchers=list(matchers),
        min_time=more.pop("min_time", datasets[0].min_time),
        max_time=more.pop("max_time", datasets[0].max_time),
        without_replica_labels=[REPLICA_LABEL] if dedup else [],
        response_batch_size=more.pop("response_batch_size", _BATCH),
        skip_chunks=bool(more.pop("skip_chunks", 0)),
    )
    found = merged(dataset.select(request) for dataset in datasets)
    expected = [series.encoded(skip_chunks=request.skip_chunks) for series in found]
    return Question(name=name, method=SERIES, request=bytes(request), judge=SeriesJudge(expected))


def ask_label_names(datasets: Sequence[Dataset]) -> Question:
    request = LabelNamesRequest(start=datasets[0].min_time, end=datasets[0].max_time)
    expected = sorted({name for dataset in datasets for name in dataset.label_names(request)})
    return Question(
        name="label names",
        method=LABEL_NAMES,
        request=bytes(request),
        judge=ListJudge(_names, expected),
    )


def ask_label_values(datasets: Sequence[Dataset], label: str) -> Question:
    request = LabelValuesRequest(label=label, start=datasets[0].min_time, end=datasets[0].max_time)
    expected = sorted({value for dataset in datasets for value in dataset.label_values(request)})
    return Question(
        name=f"values of {label}",
        method=LABEL_VALUES,
        request=bytes(request),
        judge=ListJudge(_values, expected),
    )


def questions(datasets: Sequence[Dataset]) -> list[Question]:
    """A round of questions over `datasets`, from one realm to everything."""
    equal, regex = LabelMatcherType.EQ, LabelMatcherType.RE
    realms = sorted({dict(dataset.external_labels)["realm"] for dataset in datasets})
    up = matcher(equal, "__name__", "up")
    requests = matcher(equal, "__name__", "http_requests_total")
    everything = matcher(regex, "__name__", ".+")
    middle = (datasets[0].min_time + datasets[0].max_time) // 2
    asked = []
    for realm in realms:
        here = matcher(equal, "realm", realm)
        asked += [
            ask_series(f"up in {realm}", datasets, [up, here]),
            ask_series(f"requests in {realm}, replicas merged", datasets, [requests, here], dedup=True),
        ]
    asked += [
        ask_series("up everywhere, replicas merged", datasets, [up], dedup=True),
        ask_series("one handler everywhere", datasets, [requests, matcher(equal, "handler", "handler-1")]),
        ask_series(
            "sensors, second half", datasets, [matcher(regex, "sensor", "sensor-[0-3]")], min_time=middle
        ),
        ask_series("all labels", datasets, [everything], skip_chunks=1),
        ask_label_names(datasets),
        ask_label_values(datasets, "instance"),
        ask_label_values(datasets, "replica"),
    ]
    # The big ones once a round, between small ones.
    asked.insert(
        len(asked) // 2, ask_series("everything, replicas merged", datasets, [everything], dedup=True)
    )
    asked.append(ask_series("one a message", datasets, [up], response_batch_size=0))
    return asked
