"""Messages of the endpoints as Prometheus's API has them in JSON, with the fields that Thanos adds. Pure."""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec

from app.endpoints.model import Labels
from app.engine.promql.ast import Matcher
from app.fanout.apis.labels import moment, pairs
from app.pb.thanos import (
    Alert,
    AlertInstance,
    ExemplarData,
    HeadStatistics,
    MetricMetadata,
    RecordingRule,
    Rule,
    RuleGroup,
    Statistic,
    TargetDiscovery,
    Timestamp,
    TsdbStatisticsEntry,
    ZLabelSet,
)
from app.web.api.encoding import listed, number, timestamp

NEVER = "0001-01-01T00:00:00Z"
"""The zero time of Go."""
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017
_FIRST, _LAST = -62_135_596_800, 253_402_300_799
"""Seconds of the years that RFC 3339 can write, 1 to 9999."""


def _encoded(found: Any) -> bytes:
    return msgspec.json.encode(found)


def instant(time: Timestamp | None) -> str:
    """RFC 3339 in UTC, with as many digits of a fraction as are needed."""
    if time is None:
        return NEVER
    seconds, nanoseconds = moment(time)
    if not _FIRST <= seconds <= _LAST:
        return NEVER
    text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    fraction = f".{nanoseconds:09}".rstrip("0") if 0 < nanoseconds < 1_000_000_000 else ""
    return f"{text}{fraction}Z"


def _labels(labels: ZLabelSet | None) -> dict[str, str]:
    return dict(pairs(labels))


def _seconds(value: float) -> msgspec.Raw | None:
    """A number as Go writes it: whole ones have no fraction, which some clients read as integers."""
    return msgspec.Raw(number(value).encode()) if math.isfinite(value) else None


# -- rules


def rule_groups(groups: Iterable[RuleGroup]) -> Iterator[bytes]:
    """`data` of `/rules`, a piece for each group."""
    yield b'{"groups":'
    yield from listed(_encoded(_group(group)) for group in groups)
    yield b"}"


def _group(group: RuleGroup) -> dict[str, Any]:
    return {
        "name": group.name,
        "file": group.file,
        "rules": [_rule(rule) for rule in group.rules],
        "interval": _seconds(group.interval),
        "evaluationTime": _seconds(group.evaluation_duration_seconds),
        "lastEvaluation": instant(group.last_evaluation),
        "limit": group.limit,
        "partialResponseStrategy": group.partial_response_strategy.name,
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return _alerting(rule.alert) if rule.alert is not None else _recording(rule.recording or RecordingRule())


def _alerting(rule: Alert) -> dict[str, Any]:
    return {
        "state": _lower(rule.state.name),
        "name": rule.name,
        "query": rule.query,
        "duration": _seconds(rule.duration_seconds),
        "labels": _labels(rule.labels),
        "annotations": _labels(rule.annotations),
        "alerts": [_alert(each) for each in rule.alerts],
        "health": rule.health,
        **({"lastError": rule.last_error} if rule.last_error else {}),
        "evaluationTime": _seconds(rule.evaluation_duration_seconds),
        "lastEvaluation": instant(rule.last_evaluation),
        "keepFiringFor": _seconds(rule.keep_firing_for_seconds),
        "type": "alerting",
    }


def _recording(rule: RecordingRule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "query": rule.query,
        "labels": _labels(rule.labels),
        "health": rule.health,
        **({"lastError": rule.last_error} if rule.last_error else {}),
        "evaluationTime": _seconds(rule.evaluation_duration_seconds),
        "lastEvaluation": instant(rule.last_evaluation),
        "type": "recording",
    }


def alerts(groups: Iterable[RuleGroup]) -> Iterator[bytes]:
    """`data` of `/alerts`, a piece for each alert."""
    rules = (rule.alert for group in groups for rule in group.rules if rule.alert is not None)
    yield b'{"alerts":'
    yield from listed(_encoded(_alert(each)) for rule in rules for each in rule.alerts)
    yield b"}"


def _alert(alert: AlertInstance) -> dict[str, Any]:
    return {
        "labels": _labels(alert.labels),
        "annotations": _labels(alert.annotations),
        "state": _lower(alert.state.name),
        **({"activeAt": instant(alert.active_at)} if alert.active_at is not None else {}),
        "value": alert.value,
        "partialResponseStrategy": alert.partial_response_strategy.name,
    }


def _lower(name: str | None) -> str:
    """A word of an enumeration; one that is not known has none."""
    return (name or "unknown").lower()


# -- targets


def targets(parts: Sequence[TargetDiscovery], enforced: Matcher | None) -> Iterator[bytes]:
    """`data` of `/targets`, a piece for each target.

    :param enforced: a matcher that the labels of targets have to match; None: all are shown.
    """
    yield b'{"activeTargets":'
    yield from listed(
        _encoded(
            {
                "discoveredLabels": _labels(each.discovered_labels),
                "labels": _labels(each.labels),
                "scrapePool": each.scrape_pool,
                "scrapeUrl": each.scrape_url,
                "globalUrl": each.global_url,
                "lastError": each.last_error,
                "lastScrape": instant(each.last_scrape),
                "lastScrapeDuration": _seconds(each.last_scrape_duration),
                "health": _lower(each.health.name),
            }
        )
        for part in parts
        for each in part.active_targets
        if _shown(pairs(each.labels), enforced)
    )
    yield b',"droppedTargets":'
    yield from listed(
        _encoded({"discoveredLabels": _labels(each.discovered_labels)})
        for part in parts
        for each in part.dropped_targets
        if _shown(pairs(each.discovered_labels), enforced)
    )
    yield b"}"


def _shown(labels: Labels, enforced: Matcher | None) -> bool:
    return enforced is None or (enforced.name, enforced.value) in labels


# -- metadata, exemplars


def metadata(parts: Sequence[MetricMetadata]) -> Iterator[bytes]:
    """`data` of `/metadata`, a piece for each metric."""
    yield b"{"
    first = True
    for part in parts:
        for name, entry in part.metadata.items():
            metas = [{"type": meta.type, "help": meta.help, "unit": meta.unit} for meta in entry.metas]
            yield (b"" if first else b",") + _encoded(name) + b":" + _encoded(metas)
            first = False
    yield b"}"


def exemplars(data: Iterable[ExemplarData]) -> Iterator[bytes]:
    """`data` of `/query_exemplars`, a piece for each series."""
    yield from listed(
        _encoded(
            {
                "seriesLabels": _labels(each.series_labels),
                "exemplars": [
                    {
                        "labels": _labels(exemplar.labels),
                        "value": number(exemplar.value),
                        "timestamp": msgspec.Raw(timestamp(exemplar.ts).encode()),
                    }
                    for exemplar in each.exemplars
                ],
            }
        )
        for each in data
    )


# -- statistics


def tsdb_status(entry: TsdbStatisticsEntry) -> dict[str, Any]:
    """`data` of `/status/tsdb`."""
    head = entry.head_statistics or HeadStatistics()
    return {
        "headStats": {
            "numSeries": head.num_series,
            "numLabelPairs": head.num_label_pairs,
            "chunkCount": head.chunk_count,
            "minTime": head.min_time,
            "maxTime": head.max_time,
        },
        "seriesCountByMetricName": _statistics(entry.series_count_by_metric_name),
        "labelValueCountByLabelName": _statistics(entry.label_value_count_by_label_name),
        "memoryInBytesByLabelName": _statistics(entry.memory_in_bytes_by_label_name),
        "seriesCountByLabelValuePair": _statistics(entry.series_count_by_label_value_pair),
    }


def _statistics(items: Iterable[Statistic]) -> list[dict[str, Any]]:
    return [{"name": each.name, "value": each.value} for each in items]
