"""``python -m bench [NAMES] [--runs N] [--json]``: measure, and print each figure beside its target."""

import argparse
import importlib
import json
import sys

import anyio
import msgspec

from bench import promql
from bench.figure import Figure

PROMQL = "promql"
NAMES = ("series", "endpoints", "polling", "reload", "freshness", "memory", "sidecar", PROMQL)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *NAMES], default=[], help="which; default: all")
    parser.add_argument("--runs", type=int, default=5, help="of which the median is taken")
    parser.add_argument("--json", action="store_true", help="one JSON list at the end, nothing else")
    promql.add_options(parser)
    given = parser.parse_args()
    figures: list[Figure] = []

    def show(figure: Figure) -> None:
        figures.append(figure)
        if not given.json:
            print(figure, flush=True)

    for name in given.names or NAMES:
        if name == PROMQL:
            anyio.run(promql.run, promql.plan_of(given), show)
            continue
        module = importlib.import_module(f"bench.{name}")
        for figure in anyio.run(module.run, given.runs):
            show(figure)
    if given.json:
        print(json.dumps([msgspec.to_builtins(figure) | {"reached": figure.reached} for figure in figures]))
    return 0 if all(figure.reached is not False for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
