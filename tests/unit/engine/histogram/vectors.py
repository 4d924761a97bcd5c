"""What Prometheus 3.14 computes from given histograms, and chunks it wrote.

`operations.jsonl` and `chunks.jsonl` hold the results of Prometheus's own packages (model/histogram, promql,
tsdb/chunkenc) for random histograms; floats are the hexadecimal digits of their 64 bits.
"""

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.engine.histogram.model import FloatHistogram, ResetHint

_HINTS = (ResetHint.UNKNOWN, ResetHint.RESET, ResetHint.NOT_RESET, ResetHint.GAUGE)


def load(name: str) -> list[dict[str, Any]]:
    """The lines of one of the files."""
    return [json.loads(line) for line in (Path(__file__).parent / name).read_text().splitlines()]


def number(digits: str) -> float:
    value: float = struct.unpack(">d", int(digits, 16).to_bytes(8, "big"))[0]
    return value


def histogram(fields: Mapping[str, Any]) -> FloatHistogram:
    return FloatHistogram(
        schema=fields["schema"],
        zero_threshold=number(fields["zt"]),
        zero_count=number(fields["zc"]),
        count=number(fields["count"]),
        sum=number(fields["sum"]),
        positive={int(index): number(count) for index, count in fields["pos"].items()},
        negative={int(index): number(count) for index, count in fields["neg"].items()},
        custom_values=tuple(number(bound) for bound in fields["cv"]),
        reset_hint=_HINTS[fields["hint"]],
    )


def same(a: float, b: float) -> bool:
    """Equal to the bit, but for NaNs, of which an operation makes one or another."""
    return (a != a and b != b) or (a == b and math.copysign(1, a) == math.copysign(1, b))


def assert_same(found: FloatHistogram, expected: FloatHistogram) -> None:
    for name in ("schema", "custom_values", "reset_hint"):
        assert getattr(found, name) == getattr(expected, name), name
    for name in ("zero_threshold", "zero_count", "count", "sum"):
        assert same(getattr(found, name), getattr(expected, name)), name
    for name in ("positive", "negative"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert ours.keys() == theirs.keys(), name
        assert all(same(count, theirs[index]) for index, count in ours.items()), (name, ours, theirs)
