"""What an endpoint answered to Info: raw bytes to EndpointInfo, or a reason why not. Pure."""

from collections.abc import Iterable, Mapping

from app.endpoints.model import MAX_TIME, MIN_TIME, Api, EndpointInfo, Labels, TsdbInfo
from app.pb.thanos import ZLabelSet
from app.pb.thanos.info import InfoResponse

METHOD = "/thanos.info.Info/Info"
COMPONENTS = frozenset({"query", "rule", "sidecar", "store", "receive", "debug"})
UNKNOWN_COMPONENT = "unknown-store-api"
"""How Thanos lists an endpoint whose component it does not know, or that never answered."""

_VARINT, _FIXED64, _LEN, _FIXED32 = 0, 1, 2, 5

Shape = Mapping[int, "Shape | int"]
"""Of a message: field number -> wire type of a plain field, or the shape of a sub-message."""

_LABEL: Shape = {1: _LEN, 2: _LEN}
_LABEL_SET: Shape = {1: _LABEL}
_TSDB: Shape = {1: _LABEL_SET, 2: _VARINT, 3: _VARINT}
_STORE: Shape = {1: _VARINT, 2: _VARINT, 3: _VARINT, 5: _VARINT, 6: _TSDB, 7: _VARINT}
_INFO: Shape = {
    1: _LABEL_SET,
    2: _LEN,
    3: _STORE,
    4: {},
    5: {},
    6: {},
    7: {1: _VARINT, 2: _VARINT},
    8: {},
    9: {},
}


def parse_info(raw: bytes) -> EndpointInfo:
    """`raw` as an InfoResponse.

    Without the Store API the time range is everything, as in Thanos. Empty label sets are left out.

    :raises ValueError: it is not an InfoResponse; the message says where it broke.
    """
    # The generated parser takes a string that is cut short for a short string.
    _check(raw, 0, len(raw), _INFO)
    try:
        answer = InfoResponse.parse(raw)
    except Exception as error:  # whatever the broken bytes led the generated parser to
        raise ValueError(f"not an InfoResponse: {error}") from error
    component = answer.component_type
    store = answer.store
    return EndpointInfo(
        component=component if component in COMPONENTS else UNKNOWN_COMPONENT,
        label_sets=_label_sets(answer.label_sets),
        min_time=MIN_TIME if store is None else store.min_time,
        max_time=MAX_TIME if store is None else store.max_time,
        apis=_apis(answer),
        supports_sharding=store is not None and store.supports_sharding,
        supports_without_replica_labels=store is not None and store.supports_without_replica_labels,
        tsdb_infos=tuple(
            TsdbInfo(_labels(tsdb.labels), tsdb.min_time, tsdb.max_time)
            for tsdb in (store.tsdb_infos if store is not None else ())
        ),
    )


def _apis(answer: InfoResponse) -> frozenset[Api]:
    offered = {
        Api.STORE: answer.store,
        Api.RULES: answer.rules,
        Api.TARGETS: answer.targets,
        Api.METADATA: answer.metric_metadata,
        Api.EXEMPLARS: answer.exemplars,
        Api.QUERY: answer.query,
        Api.STATUS: answer.status,
    }
    return frozenset(api for api, message in offered.items() if message is not None)


def _labels(labels: ZLabelSet | None) -> Labels:
    if labels is None:
        return ()
    return tuple(sorted((label.name, label.value) for label in labels.labels))


def _label_sets(sets: Iterable[ZLabelSet]) -> tuple[Labels, ...]:
    # Sorted, so that an endpoint that only changes their order does not make new snapshots.
    return tuple(sorted({labels for each in sets if (labels := _labels(each))}))


def _check(raw: bytes, at: int, end: int, shape: Shape) -> None:
    """Walk a message; every field must end where the message around it allows."""
    while at < end:
        tag, at = _varint(raw, at, end)
        field, wire_type = tag >> 3, tag & 7
        if field == 0:
            raise ValueError(f"not an InfoResponse: field number 0 before byte {at}")
        expected = shape.get(field)
        if expected is not None and wire_type != (expected if isinstance(expected, int) else _LEN):
            raise ValueError(f"not an InfoResponse: field {field} has wire type {wire_type} at byte {at}")
        if wire_type == _VARINT:
            _, at = _varint(raw, at, end)
            continue
        if wire_type == _LEN:
            size, at = _varint(raw, at, end)
        elif wire_type in (_FIXED64, _FIXED32):
            size = 8 if wire_type == _FIXED64 else 4
        else:
            raise ValueError(f"not an InfoResponse: wire type {wire_type} at byte {at}")
        if size > end - at:
            raise ValueError(f"not an InfoResponse: field {field} is cut short at byte {at}")
        if expected is not None and not isinstance(expected, int):
            _check(raw, at, at + size, expected)
        at += size


def _varint(raw: bytes, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise ValueError(f"not an InfoResponse: a number is cut short at byte {at}")
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError(f"not an InfoResponse: a number is too long at byte {at}")
