"""Metadata of metrics of all endpoints: each distinct one once. Pure."""

from collections.abc import Iterable

from app.pb.thanos import MetricMetadata, MetricMetadataEntry, MetricMetadataRequest

TOGETHER = 1000
"""Metrics to a message."""


def merged(answers: Iterable[MetricMetadata], request: MetricMetadataRequest) -> list[MetricMetadata]:
    """The metrics that were found first, up to the limit, with all that is said of them."""
    found: dict[str, MetricMetadataEntry] = {}
    for answer in answers:
        for name, entry in answer.metadata.items():
            known = found.get(name)
            if known is None:
                if request.limit < 0 or len(found) < request.limit:
                    found[name] = MetricMetadataEntry(metas=list(entry.metas))
            else:
                known.metas.extend(meta for meta in entry.metas if meta not in known.metas)
    names = list(found)
    parts = [
        MetricMetadata(metadata={name: found[name] for name in names[at : at + TOGETHER]})
        for at in range(0, len(names), TOGETHER)
    ]
    return parts or [MetricMetadata()]
