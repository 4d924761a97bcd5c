"""TSDB statistics of all endpoints, added up by tenant as Thanos adds them. Pure."""

from collections.abc import Callable, Iterable

from app.pb.thanos import HeadStatistics, Statistic, TsdbStatistics, TsdbStatisticsEntry


def merged(answers: Iterable[TsdbStatistics], limit: int) -> TsdbStatistics:
    """One entry for each tenant.

    :param limit: items of each list; 0 is no limit.
    """
    found: dict[str, TsdbStatisticsEntry] = {}
    for answer in answers:
        for tenant, entry in answer.statistics.items():
            known = found.get(tenant)
            found[tenant] = entry if known is None else _added(known, entry)
    for entry in found.values():
        for items in (
            entry.series_count_by_metric_name,
            entry.label_value_count_by_label_name,
            entry.memory_in_bytes_by_label_name,
            entry.series_count_by_label_value_pair,
        ):
            items.sort(key=_order)
            if limit > 0:
                del items[limit:]
    return TsdbStatistics(statistics=found)


def _added(one: TsdbStatisticsEntry, other: TsdbStatisticsEntry) -> TsdbStatisticsEntry:
    # Values of one label may be the same everywhere, so adding them up would say too much.
    return TsdbStatisticsEntry(
        head_statistics=_head(
            one.head_statistics or HeadStatistics(), other.head_statistics or HeadStatistics()
        ),
        series_count_by_metric_name=_together(
            one.series_count_by_metric_name, other.series_count_by_metric_name, int.__add__
        ),
        label_value_count_by_label_name=_together(
            one.label_value_count_by_label_name, other.label_value_count_by_label_name, max
        ),
        memory_in_bytes_by_label_name=_together(
            one.memory_in_bytes_by_label_name, other.memory_in_bytes_by_label_name, int.__add__
        ),
        series_count_by_label_value_pair=_together(
            one.series_count_by_label_value_pair, other.series_count_by_label_value_pair, int.__add__
        ),
    )


def _head(one: HeadStatistics, other: HeadStatistics) -> HeadStatistics:
    return HeadStatistics(
        num_series=one.num_series + other.num_series,
        num_label_pairs=one.num_label_pairs + other.num_label_pairs,
        chunk_count=one.chunk_count + other.chunk_count,
        min_time=other.min_time if one.min_time <= 0 else min(one.min_time, other.min_time),
        max_time=max(one.max_time, other.max_time),
    )


def _together(
    one: Iterable[Statistic], other: Iterable[Statistic], add: Callable[[int, int], int]
) -> list[Statistic]:
    values = {each.name: each.value for each in one}
    for each in other:
        values[each.name] = add(values[each.name], each.value) if each.name in values else each.value
    return [Statistic(name=name, value=min(value, 2**64 - 1)) for name, value in values.items()]


def _order(item: Statistic) -> tuple[int, bytes]:
    return -item.value, item.name.encode()
