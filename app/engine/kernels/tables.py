"""Columns of the tables that kernels hand each other, and what they return on failure."""

# The chunk table: one row a chunk, as the endpoints sent it. A plain chunk's bytes are its XOR payload, any
# other's its whole AggrChunk message.
MIN_TIME, MAX_TIME = 0, 1  # milliseconds since the epoch
START, LENGTH = 2, 3  # bytes, in the blocks laid end to end
KIND = 4
CHUNK_COLUMNS = 5

PLAIN = 0
OTHER = 1

# Sizes of what was read so far.
STRINGS, SERIES = 0, 1
SIZES = 2

MALFORMED = -1
NO_ROOM = -2
CANCELLED = -3
NOT_FLOATS = -4
"""There are histograms, which no kernel reads."""

FARTHEST = 1 << 60
"""Milliseconds; samples farther from the epoch are left out, so that sums of times never overflow."""

# Members of an AggrChunk, by field number: type (-1: absent), start and end of the data.
MEMBER_TYPE, MEMBER_START, MEMBER_END = 0, 1, 2
MEMBERS = 9
RAW, COUNT, SUM, MIN, MAX, COUNTER = 3, 4, 5, 6, 7, 8
AVERAGE = 0  # the sum divided by the count

# How the lanes of a series are merged.
PENALTY = 0
PENALTY_COUNTER = 1  # and resets are taken out, so that changing replicas looks like none
CHAIN = 2
