"""Label sets of messages: compared, and stripped of replica labels. Pure."""

from collections.abc import Collection

from app.endpoints.model import Labels
from app.pb.thanos import Label, Timestamp, ZLabelSet

Compared = tuple[tuple[bytes, bytes], ...]


def pairs(labels: ZLabelSet | None) -> Labels:
    """Names and values, sorted by name."""
    if labels is None:
        return ()
    return tuple(sorted((label.name, label.value) for label in labels.labels))


def compared(labels: ZLabelSet | None) -> Compared:
    """What label sets are ordered by: pairs in turn, as bytes."""
    return tuple((name.encode(), value.encode()) for name, value in pairs(labels))


def labels_of(given: Labels) -> ZLabelSet:
    """A message of them."""
    return ZLabelSet(labels=[Label(name=name, value=value) for name, value in given])


def stripped(labels: ZLabelSet | None, without: Collection[str]) -> ZLabelSet:
    """Sorted, and without the labels of these names."""
    return labels_of(tuple((name, value) for name, value in pairs(labels) if name not in without))


def moment(timestamp: Timestamp | None) -> tuple[int, int]:
    """What timestamps are ordered by; one that is absent is the epoch, as on the wire."""
    return (0, 0) if timestamp is None else (timestamp.seconds, timestamp.nanos)
