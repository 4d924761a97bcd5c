"""The queries of the public PromQL compliance suite, as a table: 118 templates that make 539 queries.

Which function is asked over which metric is the suite's choice (github.com/prometheus/compliance, promql);
a word in angle brackets stands for all its `ALTERNATIVES`, one after the other.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

HOST = "demo.example"
INSTANCES = tuple(f"{HOST}:{port}" for port in (10_000, 10_001, 10_002))
MISSING = "nonexistent_metric_name"
ARITHMETIC = ("+", "-", "*", "/", "%", "^")
COMPARISON = ("==", "!=", "<", ">", "<=", ">=")
_STATISTICS = ("sum", "avg", "max", "min", "count", "stddev", "stdvar")
ALTERNATIVES: Mapping[str, Sequence[str]] = {
    "memory": ("demo_memory_usage_bytes",),
    "cpu": ("demo_cpu_usage_seconds_total",),
    "disk": ("demo_disk_usage_bytes",),
    "cpus": ("demo_num_cpus",),
    "batch": ("demo_batch_last_success_timestamp_seconds",),
    "range": ("1s", "15s", "1m", "5m", "15m", "1h"),
    "offset": ("1m", "5m", "10m"),
    "statistic": _STATISTICS,
    "over_time": (*_STATISTICS, "absent", "last"),
    "ends": ("topk", "bottomk"),
    "quantile": ("-0.5", "0.1", "0.5", "0.75", "0.95", "0.90", "0.99", "1", "1.5"),
    "arithmetic": ARITHMETIC,
    "comparison": COMPARISON,
    "operator": (*ARITHMETIC, *COMPARISON),
    "number": ("abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "round"),
    "rate": ("delta", "rate", "increase"),
    "instant_rate": ("idelta", "irate"),
    "clamp": ("clamp_min", "clamp_max"),
    "date": ("day_of_month", "day_of_week", "days_in_month", "hour", "minute", "month", "year"),
}


class Compliant(msgspec.Struct, frozen=True):
    """
    :param fails: whether both have to refuse it.
    :param since_3: refused by Prometheus 2, which knows no UTF-8 in names, but not by 3.
    """

    query: str
    fails: bool = False
    since_3: bool = False


TEMPLATES: Mapping[str, Sequence[str]] = {
    "literals": ("42", "1.234", ".123", "1.23e-3", "0x3d", "Inf", "+Inf", "-Inf", "NaN"),
    "selectors": (
        "<memory>",
        '{__name__="<memory>"}',
        '<memory>{type="free"}',
        '<memory>{type!="free"}',
        f'<memory>{{instance=~"{HOST}:.*"}}',
        '<memory>{instance=~"host"}',
        '<memory>{instance!~".*:10000"}',
        f'<memory>{{type="free", instance!="{INSTANCES[0]}"}}',
        f'{{type="free", instance!="{INSTANCES[0]}"}}',
        MISSING,
        "<memory> offset <offset>",
        "<memory> offset -<offset>",
        "demo_intermittent_metric",
    ),
    "aggregations": (
        *(
            f"<statistic>{grouping}({metric})"
            for grouping, metric in (
                ("", "<memory>"),
                ("", MISSING),
                (" by() ", "<memory>"),
                (" by(instance) ", "<memory>"),
                (" by(instance, type) ", "<memory>"),
                (" by(nonexistent) ", "<memory>"),
                (" without() ", "<memory>"),
                (" without(instance) ", "<memory>"),
                (" without(instance, type) ", "<memory>"),
                (" without(nonexistent) ", "<memory>"),
            )
        ),
        "<ends> (3, <memory>)",
        "<ends> by(instance) (2, <memory>)",
        "<ends> without(instance) (2, <memory>)",
        "<ends> without() (2, <memory>)",
        "quantile(<quantile>, <memory>)",
        "avg(max by(type) (<memory>))",
    ),
    "numbers and vectors": (
        "1 * 2 + 4 / 6 - 10 % 2 ^ 2",
        "<cpus> + (1 <comparison> bool 2)",
        "<memory> <operator> 1.2345",
        "<memory> <comparison> bool 1.2345",
        "1.2345 <comparison> bool <memory>",
        "0.12345 <operator> <memory>",
        "(1 * 2 + 4 / 6 - (10%7)^2) <operator> <memory>",
        "<memory> <operator> (1 * 2 + 4 / 6 - 10)",
        "timestamp(<memory> * 1)",
        "timestamp(-<memory>)",
        "<cpus> * Inf",
        "<cpus> * -Inf",
        "<cpus> * NaN",
        "<memory> + -(1)",
        "-<memory>",
        "-1 ^ 2",
        "1 <arithmetic> time()",
        "time() <arithmetic> 1",
        "time() <comparison> bool 1",
        "1 <comparison> bool time()",
        "time() <arithmetic> time()",
        "time() <comparison> bool time()",
        "time() <operator> <memory>",
        "<memory> <operator> time()",
    ),
    "matching": (
        "<memory> <operator> on(instance, job, type) <memory>",
        "sum by(instance, type) (<memory>) <operator> on(instance, type) group_left(job) <memory>",
        "<memory> <comparison> bool on(instance, job, type) <memory>",
        "<memory> / on(instance, job, type, __name__) <memory>",
        "sum without(job) (<memory>) / on(instance, type) <memory>",
        "sum without(job) (<memory>) / on(instance, type) group_left <memory>",
        "sum without(job) (<memory>) / on(instance, type) group_left(job) <memory>",
        "<memory> / on(instance, job) group_left <cpus>",
        "<memory> / on(instance, type, job, non_existent) <memory>",
    ),
    "windows": (
        "<over_time>_over_time(<memory>[<range>])",
        "quantile_over_time(<quantile>, <memory>[<range>])",
        "<rate>(nonexistent_metric[5m])",
        "<rate>(<cpu>[<range>])",
        "<instant_rate>(<cpu>[<range>])",
        "deriv(<disk>[<range>])",
        "predict_linear(<disk>[<range>], 600)",
        "resets(<cpu>[<range>])",
        "changes(<batch>[<range>])",
        "max_over_time((time() - max(<batch>) < 1000)[5m:10s] offset 5m)",
        "avg_over_time(rate(<cpu>[1m])[2m:10s])",
    ),
    "functions": (
        "timestamp(<cpus>)",
        "timestamp(timestamp(<cpus>))",
        "<number>(<memory>)",
        "<number>(-<memory>)",
        "time()",
        "<date>()",
        "<date>(<batch> offset <offset>)",
        "<clamp>(<memory>, 2)",
        "clamp(<memory>, 0, 1)",
        "clamp(<memory>, 0, 1000000000000)",
        "clamp(<memory>, 1000000000000, 0)",
        "clamp(<memory>, 1000000000000, 1000000000000)",
        "vector(1.23)",
        "vector(time())",
        "histogram_quantile(<quantile>, rate(demo_api_request_duration_seconds_bucket[1m]))",
        "histogram_quantile(0.9, nonexistent_metric)",
        "histogram_quantile(0.9, <memory>)",
        'histogram_quantile(0.9, {__name__=~"demo_api_request_duration_seconds_.+"})',
        'count_values("value", demo_api_request_duration_seconds_bucket)',
        "absent(<memory>)",
        f"absent({MISSING})",
    ),
    "labels": (
        f'label_replace(<cpus>, "job", "destination-value-$1", "instance", "{HOST}:(.*)")',
        'label_replace(<cpus>, "job", "destination-value-$1", "instance", "host:(.*)")',
        'label_replace(<cpus>, "job", "$1-$2", "instance", "local(.*):(.*)")',
        'label_replace(<cpus>, "job", "value-$1", "nonexistent-src", "source-value-(.*)")',
        'label_replace(<cpus>, "job", "value-$1", "nonexistent-src", "(.*)")',
        'label_replace(<cpus>, "job", "value-$1", "instance", "non-matching-regex")',
        'label_replace(<cpus>, "job", "", "dst", ".*")',
        'label_join(<cpus>, "new_label", "-", "instance", "job")',
        'label_join(<cpus>, "job", "-", "instance", "job")',
        'label_join(<cpus>, "job", "-", "instance")',
    ),
}
REFUSED = (
    '{__name__=~".*"}',
    'label_replace(<cpus>, "job", "value-$1", "src", "(.*")',
    'label_replace(<cpus>, "instance", "", "", "")',
)
REFUSED_BEFORE_3 = (
    'label_replace(<cpus>, "~invalid", "", "src", "(.*)")',
    'label_join(<cpus>, "~invalid", "-", "instance")',
)


def templates() -> list[str]:
    """All of them."""
    return [*(each for group in TEMPLATES.values() for each in group), *REFUSED, *REFUSED_BEFORE_3]


def expanded(template: str) -> Iterator[str]:
    """With every combination of what its words stand for."""
    words = list(dict.fromkeys(re.findall(r"<(\w+)>", template)))
    for chosen in itertools.product(*(ALTERNATIVES[word] for word in words)):
        query = template
        for word, value in zip(words, chosen, strict=True):
            query = query.replace(f"<{word}>", value)
        yield query


def compliance_queries() -> list[Compliant]:
    """The whole table."""
    found = [Compliant(query) for group in TEMPLATES.values() for each in group for query in expanded(each)]
    found += [Compliant(query, fails=True) for each in REFUSED for query in expanded(each)]
    found += [Compliant(query, since_3=True) for each in REFUSED_BEFORE_3 for query in expanded(each)]
    return found
