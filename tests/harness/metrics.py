"""What metrics there are, by the code that makes them."""

import ast
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
_KINDS = {
    "Counter": "counter",
    "Gauge": "gauge",
    "GaugeMetricFamily": "gauge",
    "Histogram": "histogram",
}
# They are not the servers'.
_OTHERS = {"demo", "stack", "pb"}


class Metric(msgspec.Struct, frozen=True):
    """:param name: as it is scraped: of a counter with ``_total``."""

    name: str
    kind: str


def in_source() -> set[Metric]:
    """Every instrument that is made in `app/`."""
    found = set()
    for path in (ROOT / "app").rglob("*.py"):
        if path.relative_to(ROOT / "app").parts[0] in _OTHERS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _KINDS:
                if not node.args:
                    continue  # a message of the same name
                first = node.args[0]
                assert isinstance(first, ast.Constant)
                kind = _KINDS[node.func.id]
                suffix = "_total" if kind == "counter" else ""
                found.add(Metric(str(first.value).removesuffix(suffix) + suffix, kind))
    return found


def on_the_page() -> set[Metric]:
    """Every metric that docs/metrics.md describes."""
    rows = (line.split("|") for line in (ROOT / "docs/metrics.md").read_text().splitlines())
    return {
        Metric(row[1].strip().strip("`"), row[2].strip()) for row in rows if len(row) > 4 and "`" in row[1]
    }
