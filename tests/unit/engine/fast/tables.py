"""Tables of chunks made from samples."""

from collections.abc import Mapping, Sequence

import numpy as np

from app.demo.xor import encode
from app.engine.model import Labels, labels_of
from app.engine.select.model import ChunkTable, LabelColumns

Samples = Sequence[tuple[int, float]]
FOREVER = 1 << 50


def columns(rows: Sequence[Labels]) -> LabelColumns:
    strings: dict[str, int] = {}
    width = max((len(labels) for labels in rows), default=0)
    names = np.full((len(rows), width), -1, np.int32)
    values = np.full((len(rows), width), -1, np.int32)
    for row, labels in enumerate(rows):
        for place, (name, value) in enumerate(labels):
            names[row, place] = strings.setdefault(name, len(strings))
            values[row, place] = strings.setdefault(value, len(strings))
    return LabelColumns(list(strings), names, values)


def table(
    series: Mapping[Labels, Sequence[Samples]],
    *,
    start: int = -FOREVER,
    end: int = FOREVER,
    chunk: int = 120,
    counter: bool = False,
    chain: bool = False,
) -> ChunkTable:
    """Of series with the samples of one or more replicas each."""
    rows = sorted(series)
    data, offset, length = bytearray(), [], []
    lanes, chunks = [0], [0]
    for labels in rows:
        for replica in series[labels]:
            for at in range(0, len(replica), chunk):
                payload = encode(replica[at : at + chunk])
                offset.append(len(data))
                length.append(len(payload))
                data += payload
            chunks.append(len(offset))
        lanes.append(len(chunks) - 1)
    return ChunkTable(
        columns=columns(rows),
        data=np.frombuffer(bytes(data) + bytes(16), np.uint8),
        lanes=np.array(lanes, np.int64),
        chunks=np.array(chunks, np.int64),
        offset=np.array(offset, np.int64),
        length=np.array(length, np.int64),
        start=start,
        end=end,
        counter=counter,
        chain=chain,
    )


def named(name: str, **labels: str) -> Labels:
    return labels_of({"__name__": name, **labels})
