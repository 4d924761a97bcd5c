"""Columns of the tables that kernels hand each other, and what they return on failure."""

# The series table: one row a series.
ENTRY_START = 0  # of the series with its tag and length: ``0a LEN ...``
ENTRY_END = 1
BODY_START = 2  # of the Series message itself
KEY_START = 3  # in the key arena
KEY_END = 4
COLUMNS = 5

# Other messages: kind (the field number, 0 for none that is known), start, end. The range is the text of a
# warning, the field with its tag for hints, the whole SeriesResponse for what is not known.
OTHER_COLUMNS = 3

# Chunks of one series: min_time, max_time, start of the entry, its end, start of the AggrChunk itself.
CHUNK_COLUMNS = 5

MALFORMED = -1
NO_ROOM = -2
