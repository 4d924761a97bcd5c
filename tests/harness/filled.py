"""A Prometheus that scrapes nothing and holds series of our choice, stale markers included."""

import math
import struct
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import cramjam
import httpx
import yaml

from app.demo.processes import free_address, running, until_up
from app.demo.wire import field, varint_field
from app.engine.model import Labels, Series
from tests.harness.programs import program

_TOGETHER = 30 * 60_000
"""Milliseconds of samples in one request: a head takes series in any order, not times an hour apart."""
_HEADERS = {
    "content-encoding": "snappy",
    "content-type": "application/x-protobuf",
    "x-prometheus-remote-write-version": "0.1.0",
}
Points = dict[Labels, list[tuple[int, float]]]
"""Milliseconds since the epoch and values, by label set."""


@asynccontextmanager
async def filled(
    directory: Path, series: Sequence[Series], external_labels: Mapping[str, str], flags: Sequence[str] = ()
) -> AsyncIterator[str]:
    """Its URL, entered when it has the series; without the program the test is skipped."""
    address = free_address()
    config = directory / "prometheus.yml"
    config.write_text(yaml.safe_dump({"global": {"external_labels": dict(external_labels)}}))
    command = [
        program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={address}",
        "--web.enable-remote-write-receiver",
        "--log.level=warn",
        *flags,
    ]
    async with running("prometheus", command, directory, grace=10.0) as child:
        url = f"http://{address}"
        await until_up(child, url, 30.0)
        async with httpx.AsyncClient(timeout=30) as client:
            for body in _writes(series):
                answer = await client.post(f"{url}/api/v1/write", content=body, headers=_HEADERS)
                assert answer.status_code == 204, answer.text
        yield url


def _writes(series: Sequence[Series]) -> Iterator[bytes]:
    """Bodies of requests, in the order of time."""
    held = [each for each in series if len(each.times)]
    begin, end = min(int(each.times[0]) for each in held), max(int(each.times[-1]) for each in held)
    for first in range(begin, end + 1, _TOGETHER):
        body = b"".join(_written(each, first, first + _TOGETHER) for each in held)
        if body:
            yield bytes(cramjam.snappy.compress_raw(body))


def _written(series: Series, first: int, last: int) -> bytes:
    """A TimeSeries with the samples in ``[first, last)``; nothing where there are none."""
    low, high = series.times.searchsorted([first, last]).tolist()
    samples = b"".join(
        field(2, b"\x09" + struct.pack("<d", value) + varint_field(2, time))
        for time, value in zip(series.times[low:high].tolist(), series.values[low:high].tolist(), strict=True)
    )
    labels = b"".join(
        field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in series.labels
    )
    return field(1, labels + samples) if samples else b""


class Refused(Exception):
    """An API answered with an error; the text is its own."""


def points(answer: httpx.Response) -> Points:
    """What a query or a range query gave, a scalar under no labels.

    :raises Refused: it was in error.
    """
    body = answer.json()
    if body["status"] != "success":
        raise Refused(f"{body['errorType']}: {body['error']}")
    assert answer.status_code == 200
    data = body["data"]
    rows: list[dict[str, Any]] = data["result"]
    if data["resultType"] == "scalar":
        rows = [{"metric": {}, "value": data["result"]}]
    found: Points = {}
    for row in rows:
        labels = tuple(sorted(row["metric"].items()))
        assert labels not in found, labels
        found[labels] = [
            (round(time * 1000), float(value)) for time, value in row.get("values") or [row["value"]]
        ]
    return found


def difference(found: Points, wanted: Points, tolerance: float) -> str:
    """The first, in words; empty where they are equal. NaN is equal to NaN.

    :param tolerance: relative.
    """
    if found.keys() != wanted.keys():
        more, fewer = found.keys() - wanted.keys(), wanted.keys() - found.keys()
        return f"too many series: {sorted(more)}, missing: {sorted(fewer)}"
    for labels, theirs in wanted.items():
        mine = found[labels]
        if (times := {time for time, _ in mine} ^ {time for time, _ in theirs}) or len(mine) != len(theirs):
            return f"{labels}: {len(mine)} points instead of {len(theirs)}, not in both: {sorted(times)}"
        for (time, value), (_, other) in zip(mine, theirs, strict=True):
            same = math.isclose(value, other, rel_tol=tolerance) or (value != value and other != other)
            if not same:
                return f"{labels} at {time}: {value} instead of {other}"
    return ""
