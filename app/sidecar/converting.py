"""Answers of Prometheus's HTTP API as messages of the Thanos APIs. Pure.

Fields that a version of Prometheus does not send are left at their defaults; those that are not known
here are ignored.
"""

import datetime
import re
from collections.abc import Mapping
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from app.endpoints.model import Labels
from app.pb.thanos import (
    ActiveTarget,
    ActiveTargetTargetHealth,
    Alert,
    AlertInstance,
    AlertState,
    DroppedTarget,
    Exemplar,
    ExemplarData,
    HeadStatistics,
    Label,
    Meta,
    MetricMetadata,
    MetricMetadataEntry,
    PartialResponseStrategy,
    RecordingRule,
    Rule,
    RuleGroup,
    Statistic,
    TargetDiscovery,
    Timestamp,
    TsdbStatisticsEntry,
    ZLabelSet,
)

TOGETHER = 500
"""Targets to a message."""

T = TypeVar("T")
_Pairs = dict[str, str]
_MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2})(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d{2}:\d{2})")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class _Answer(msgspec.Struct, Generic[T]):
    data: T


class _Alert(msgspec.Struct, rename="camel"):
    labels: _Pairs = {}
    annotations: _Pairs = {}
    state: str = "unknown"
    active_at: str | None = None
    value: str = ""


class _Alerting(msgspec.Struct, rename="camel", tag="alerting", tag_field="type"):
    name: str
    query: str
    state: str = "unknown"
    duration: float = 0.0
    keep_firing_for: float = 0.0
    labels: _Pairs = {}
    annotations: _Pairs = {}
    alerts: list[_Alert] | None = None
    health: str = ""
    last_error: str = ""
    evaluation_time: float = 0.0
    last_evaluation: str = ""


class _Recording(msgspec.Struct, rename="camel", tag="recording", tag_field="type"):
    name: str
    query: str
    labels: _Pairs = {}
    health: str = ""
    last_error: str = ""
    evaluation_time: float = 0.0
    last_evaluation: str = ""


class _Group(msgspec.Struct, rename="camel"):
    name: str
    file: str = ""
    rules: list[_Alerting | _Recording] | None = None
    interval: float = 0.0
    limit: int = 0
    evaluation_time: float = 0.0
    last_evaluation: str = ""


class _Groups(msgspec.Struct):
    groups: list[_Group] | None = None


class _Active(msgspec.Struct, rename="camel"):
    discovered_labels: _Pairs = {}
    labels: _Pairs = {}
    scrape_pool: str = ""
    scrape_url: str = ""
    global_url: str = ""
    last_error: str = ""
    last_scrape: str = ""
    last_scrape_duration: float = 0.0
    health: str = "unknown"


class _Dropped(msgspec.Struct, rename="camel"):
    discovered_labels: _Pairs = {}


class _Targets(msgspec.Struct, rename="camel"):
    active_targets: list[_Active] | None = None
    dropped_targets: list[_Dropped] | None = None


class _Meta(msgspec.Struct):
    type: str = ""
    help: str = ""
    unit: str = ""


class _Exemplar(msgspec.Struct):
    labels: _Pairs = {}
    # A text, since JSON has no NaN; a number in old versions.
    value: str | float = 0.0
    timestamp: float = 0.0


class _Series(msgspec.Struct, rename="camel"):
    series_labels: _Pairs = {}
    exemplars: list[_Exemplar] | None = None


class _Statistic(msgspec.Struct):
    name: str = ""
    value: Annotated[int, msgspec.Meta(ge=0)] = 0


class _Head(msgspec.Struct, rename="camel"):
    num_series: int = 0
    num_label_pairs: int = 0
    chunk_count: int = 0
    min_time: int = 0
    max_time: int = 0


class _Tsdb(msgspec.Struct, rename="camel"):
    head_stats: _Head = msgspec.field(default_factory=_Head)
    series_count_by_metric_name: list[_Statistic] | None = None
    label_value_count_by_label_name: list[_Statistic] | None = None
    memory_in_bytes_by_label_name: list[_Statistic] | None = None
    series_count_by_label_value_pair: list[_Statistic] | None = None


def _data(body: bytes, kind: Any) -> Any:
    return msgspec.json.decode(body, type=_Answer[kind]).data


def _labels(given: Mapping[str, str], external: Labels = ()) -> ZLabelSet:
    """Sorted by name; external labels win."""
    merged = {**given, **dict(external)}
    return ZLabelSet(labels=[Label(name=name, value=merged[name]) for name in sorted(merged, key=str.encode)])


def timestamp(text: str | None) -> Timestamp | None:
    """A time as RFC 3339 has it, to the nanosecond.

    :raises ValueError: it is none.
    """
    if not text:
        return None
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time")
    whole, fraction, zone = match.groups()
    since = datetime.datetime.fromisoformat(f"{whole}{zone}".upper()) - _EPOCH
    return Timestamp(
        seconds=since.days * 86_400 + since.seconds, nanos=int((fraction or "").ljust(9, "0") or 0)
    )


# -- rules


def rule_groups(body: bytes, external: Labels) -> list[RuleGroup]:
    """``/api/v1/rules``; labels of rules get the external ones, those of alert instances do not, as Thanos
    has it.

    :raises ValueError: it is no such answer. So do all below.
    """
    return [
        RuleGroup(
            name=group.name,
            file=group.file,
            rules=[_rule(rule, external) for rule in group.rules or ()],
            interval=group.interval,
            limit=group.limit,
            evaluation_duration_seconds=group.evaluation_time,
            last_evaluation=timestamp(group.last_evaluation),
            # Prometheus has none; a rule of it fails where its query does.
            partial_response_strategy=PartialResponseStrategy.ABORT,
        )
        for group in _data(body, _Groups).groups or ()
    ]


def _rule(rule: _Alerting | _Recording, external: Labels) -> Rule:
    if isinstance(rule, _Recording):
        return Rule(
            recording=RecordingRule(
                name=rule.name,
                query=rule.query,
                labels=_labels(rule.labels, external),
                health=rule.health,
                last_error=rule.last_error,
                evaluation_duration_seconds=rule.evaluation_time,
                last_evaluation=timestamp(rule.last_evaluation),
            )
        )
    return Rule(
        alert=Alert(
            state=_state(rule.state),
            name=rule.name,
            query=rule.query,
            duration_seconds=rule.duration,
            keep_firing_for_seconds=rule.keep_firing_for,
            labels=_labels(rule.labels, external),
            annotations=_labels(rule.annotations),
            alerts=[_instance(alert) for alert in rule.alerts or ()],
            health=rule.health,
            last_error=rule.last_error,
            evaluation_duration_seconds=rule.evaluation_time,
            last_evaluation=timestamp(rule.last_evaluation),
        )
    )


def _instance(alert: _Alert) -> AlertInstance:
    return AlertInstance(
        labels=_labels(alert.labels),
        annotations=_labels(alert.annotations),
        state=_state(alert.state),
        active_at=timestamp(alert.active_at),
        value=alert.value,
    )


def _state(text: str) -> AlertState:
    return AlertState.__members__.get(text.upper(), AlertState.UNKNOWN)


# -- targets


def targets(body: bytes, external: Labels) -> list[TargetDiscovery]:
    """``/api/v1/targets``, in parts, one at least."""
    found = _data(body, _Targets)
    active = [_active(target, external) for target in found.active_targets or ()]
    dropped = [
        DroppedTarget(discovered_labels=_labels(target.discovered_labels, external))
        for target in found.dropped_targets or ()
    ]
    parts = [
        TargetDiscovery(active_targets=active[at : at + TOGETHER]) for at in range(0, len(active), TOGETHER)
    ]
    parts += [
        TargetDiscovery(dropped_targets=dropped[at : at + TOGETHER])
        for at in range(0, len(dropped), TOGETHER)
    ]
    return parts or [TargetDiscovery()]


def _active(target: _Active, external: Labels) -> ActiveTarget:
    health = ActiveTargetTargetHealth
    return ActiveTarget(
        discovered_labels=_labels(target.discovered_labels, external),
        labels=_labels(target.labels, external),
        scrape_pool=target.scrape_pool,
        scrape_url=target.scrape_url,
        global_url=target.global_url,
        last_error=target.last_error,
        last_scrape=timestamp(target.last_scrape),
        last_scrape_duration=target.last_scrape_duration,
        health=health.__members__.get(target.health.upper(), health.UNKNOWN),
    )


# -- the others


def metadata(body: bytes, _: Labels) -> MetricMetadata:
    """``/api/v1/metadata``."""
    found = _data(body, dict[str, list[_Meta]] | None) or {}
    return MetricMetadata(
        metadata={
            name: MetricMetadataEntry(
                metas=[Meta(type=meta.type, help=meta.help, unit=meta.unit) for meta in metas]
            )
            for name, metas in found.items()
        }
    )


def exemplars(body: bytes, external: Labels) -> list[ExemplarData]:
    """``/api/v1/query_exemplars``; series labels get the external ones."""
    return [
        ExemplarData(
            series_labels=_labels(series.series_labels, external),
            exemplars=[
                Exemplar(
                    labels=_labels(each.labels), value=float(each.value), ts=round(each.timestamp * 1000)
                )
                for each in series.exemplars or ()
            ],
        )
        for series in _data(body, list[_Series] | None) or ()
    ]


def statistics(body: bytes, _: Labels) -> TsdbStatisticsEntry:
    """``/api/v1/status/tsdb``."""
    found: _Tsdb = _data(body, _Tsdb)
    head = found.head_stats

    def items(given: list[_Statistic] | None) -> list[Statistic]:
        return [Statistic(name=each.name, value=each.value) for each in given or ()]

    return TsdbStatisticsEntry(
        head_statistics=HeadStatistics(
            num_series=head.num_series,
            num_label_pairs=head.num_label_pairs,
            chunk_count=head.chunk_count,
            min_time=head.min_time,
            max_time=head.max_time,
        ),
        series_count_by_metric_name=items(found.series_count_by_metric_name),
        label_value_count_by_label_name=items(found.label_value_count_by_label_name),
        memory_in_bytes_by_label_name=items(found.memory_in_bytes_by_label_name),
        series_count_by_label_value_pair=items(found.series_count_by_label_value_pair),
    )
