"""What is asked, how often, and what was promised about it."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.promql.data import BUCKETS, GAUGES, REQUESTS

RAW = "raw rate"
"""The query whose answer is all series, as JSON."""
QUERIES = {
    "sum by (rate)": f"sum by (cluster, code) (rate({REQUESTS}[5m]))",
    "histogram_quantile": f"histogram_quantile(0.99, sum by (le, handler) (rate({BUCKETS}[5m])))",
    "topk": f"topk(5, {GAUGES})",
    "avg_over_time": f"sum(avg_over_time({GAUGES}[10m]))",
    "error ratio": f'sum by (cluster, handler, code) (rate({REQUESTS}{{code=~"5.."}}[5m]))'
    f" / on (cluster, handler) group_left () sum by (cluster, handler) (rate({REQUESTS}[5m]))",
    "group_left": f"sum by (code) ({REQUESTS}"
    f" / ignoring (code) group_left () sum without (code) ({REQUESTS}))",
    "max by": f"max by (instance) ({GAUGES})",
    "increase 1h": f"sum by (code) (increase({REQUESTS}[1h]))",
    RAW: f"rate({REQUESTS}[5m])",
}
"""The nine, by the names that ``--queries`` takes."""
PARTS = ("times", "small", "clients", "memory")
TOPOLOGIES = ("shards", "ha")


class Target(msgspec.Struct, frozen=True):
    """At most so much of Prometheus's time."""

    each: float
    median: float
    raw: float

    def of(self, query: str) -> float:
        return self.raw if query == RAW else self.each


LARGE = 10_000
"""Series from which on the targets of large answers hold."""


def target_of(series: int) -> Target:
    """What is promised for a size."""
    return Target(1.0, 0.4, 0.8) if series >= LARGE else Target(1.0, 0.5, 1.0)


SMALL = 2.5
"""Times Prometheus's p50, for small queries."""
CLIENTS = 0.3
"""Of Prometheus's throughput."""
MEMORY = 1.2
"""Times Prometheus's growth."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """
    :param runs: of which the median is taken.
    :param series: of each family; one set of data each.
    :param steps: seconds.
    :param queries: names out of `QUERIES`.
    :param parts: out of `PARTS`.
    :param profile: instead of the figures, where the time goes.
    :param cache: where data is kept from run to run.
    """

    runs: int
    series: Sequence[int]
    steps: Sequence[int]
    queries: Sequence[str]
    topology: str
    parts: Sequence[str]
    profile: bool
    cache: Path
    thanos: Path | None = None
    """The peer instead of Prometheus, where it is given; nothing was promised about it."""

    @property
    def peer(self) -> str:
        return "Prometheus" if self.thanos is None else "Thanos"

    def target(self, value: float) -> float | None:
        """What was promised beside Prometheus."""
        return value if self.thanos is None else None


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those that only this benchmark has."""
    group = parser.add_argument_group("promql")
    group.add_argument("--series", type=int, action="append", help="of a family; default: 1000 and 10000")
    group.add_argument("--step", type=int, action="append", help="seconds; default: 30 and 60")
    group.add_argument("--queries", nargs="+", choices=QUERIES, metavar="QUERY", help=", ".join(QUERIES))
    group.add_argument("--topology", choices=TOPOLOGIES, default="shards", help="behind the querier")
    group.add_argument("--parts", nargs="+", choices=PARTS, help=f"default: {' '.join(PARTS)}")
    group.add_argument("--profile", action="store_true", help="where the querier's time goes")
    group.add_argument("--thanos", type=Path, help="the program: measure beside its querier and sidecars")
    group.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "crossrealm-bench-data")


def plan_of(given: argparse.Namespace) -> Plan:
    """What the command line says."""
    return Plan(
        runs=given.runs,
        series=sorted(given.series or (1_000, LARGE)),
        steps=given.step or (30, 60),
        queries=given.queries or tuple(QUERIES),
        topology=given.topology,
        parts=given.parts or PARTS,
        profile=given.profile,
        cache=given.cache,
        thanos=given.thanos,
    )
