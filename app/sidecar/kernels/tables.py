"""Columns of the tables that kernels hand each other, and what they return on failure.

All offsets are into one array of bytes: the names and values that the sidecar adds stand in front, what came
from Prometheus behind them.
"""

# Frames: the start of the frame, of its message, its end, the checksum that came with it.
FRAME_START, MESSAGE_START, MESSAGE_END, CHECKSUM = 0, 1, 2, 3
FRAME_COLUMNS = 4

# Labels: a name and a value.
NAME_START, NAME_END, VALUE_START, VALUE_END = 0, 1, 2, 3
LABEL_COLUMNS = 4
# Names that the sidecar decides on, in their order: a label, and 1 where it is added; 0: it is taken out.
ADDED = 4
DECIDED_COLUMNS = 5

# Chunks: times in milliseconds, the type as the StoreAPI numbers it, the data and its hash.
MIN_TIME, MAX_TIME, TYPE, DATA_START, DATA_END, HASH, CHUNK_SIZE = 0, 1, 2, 3, 4, 5, 6
CHUNK_COLUMNS = 7

# Series, one row for each ChunkedSeries: its labels as they came, as they go out, its chunks, its key, bytes
# of labels and of chunks as they go out, and the message itself.
RAW_START, RAW_END, LABEL_FIRST, LABEL_LAST, CHUNK_FIRST, CHUNK_LAST = 0, 1, 2, 3, 4, 5
KEY_START, KEY_END, LABELS_SIZE, CHUNKS_SIZE, BODY_START, BODY_END = 6, 7, 8, 9, 10, 11
SERIES_COLUMNS = 12

MALFORMED = -1
NO_ROOM = -2
TOO_LARGE = -3
UNKNOWN_ENCODING = -4
OUT_OF_ORDER = -5
