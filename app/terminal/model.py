"""A question, and an answer as the HTTP API has it, whoever gave it."""

import msgspec

from app.errors import CrossrealmError

Point = tuple[float, str]
"""Seconds since the epoch, and a float as the API writes it."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. Times are milliseconds since the epoch.

    :param end: of an instant query equal to `start`.
    :param step: milliseconds; 0: an instant query.
    :param timeout: seconds.
    :param replica_labels: in place of those of the server; of endpoints those that there are.
    """

    text: str
    start: int
    end: int
    step: int = 0
    timeout: float = 120.0
    replica_labels: tuple[str, ...] = ()


class Histogram(msgspec.Struct, frozen=True):
    """:param buckets: bounds rule, lower and upper bound, count."""

    count: str
    sum: str
    buckets: list[tuple[int, str, str, str]] = []


class Series(msgspec.Struct, frozen=True):
    """An element of a vector has `value` or `histogram`, one of a matrix the others."""

    metric: dict[str, str] = {}
    value: Point | None = None
    histogram: tuple[float, Histogram] | None = None
    values: list[Point] = []
    histograms: list[tuple[float, Histogram]] = []


class Data(msgspec.Struct, frozen=True, rename="camel"):
    result_type: str
    result: msgspec.Raw


class Envelope(msgspec.Struct, frozen=True):
    """What is around the data of an answer. Prometheus has `infos`, Thanos has them among the warnings."""

    status: str
    data: Data | None = None
    error: str = ""
    warnings: list[str] = []
    infos: list[str] = []


class Found(msgspec.Struct, frozen=True):
    """
    :param body: the whole answer, as it came.
    :param kind: ``scalar``, ``string``, ``vector`` or ``matrix``.
    :param single: of a scalar or a string.
    """

    body: bytes
    kind: str
    series: list[Series] = []
    single: Point | None = None
    said: tuple[str, ...] = ()


class QueryFailed(CrossrealmError):
    """The query was not answered; the text says why."""


def found(body: bytes) -> Found:
    """An answer, read.

    :raises QueryFailed: it says that the query failed, or is no answer of the API.
    """
    try:
        envelope = msgspec.json.decode(body, type=Envelope)
        if envelope.status != "success":
            raise QueryFailed(envelope.error or "the answer says that it failed, and not why")
        if envelope.data is None:
            raise QueryFailed("the answer has no data")
        data, said = envelope.data, (*envelope.warnings, *envelope.infos)
        if data.result_type in ("scalar", "string"):
            single = msgspec.json.decode(data.result, type=Point)
            return Found(body, data.result_type, single=single, said=said)
        return Found(body, data.result_type, msgspec.json.decode(data.result, type=list[Series]), said=said)
    except msgspec.MsgspecError as error:
        raise QueryFailed(f"this is no answer of the Prometheus API: {error}") from None
