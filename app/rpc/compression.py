"""Compression of gRPC messages: snappy in its framing format, as Thanos uses it, and gzip. Pure.

Sources: gRPC over HTTP/2, "Compression"; snappy's framing format description; RFC 1952. What a peer sends may
be made to grow without measure, so sizes are known or bounded before anything is decompressed.
"""

import zlib
from collections.abc import Iterator

import cramjam

from app.errors import CallError, Code, FailureKind
from app.rpc.inbound import BLOCK_SIZE, PREFIX_SIZE

IDENTITY, SNAPPY, GZIP = "identity", "snappy", "gzip"
ACCEPTED = f"{SNAPPY},{GZIP},{IDENTITY}"
"""What is announced to peers."""
MAX_DECOMPRESSED = 256 * 1024 * 1024
"""Bytes of a message that was compressed, where the limit on messages is larger."""
_GZIP_LEVEL = 1
_SNAPPY_HEADER = b"\xff\x06\x00\x00sNaPpY"
_SNAPPY_BLOCK = 65536
"""Bytes that a chunk of the framing format holds at most."""


def known(encoding: str) -> bool:
    """Whether messages in `encoding` can be read."""
    return encoding in ("", IDENTITY, SNAPPY, GZIP)


def compressed(message: bytes | memoryview, encoding: str) -> bytes:
    """A message behind its prefix, compressed.

    :param encoding: snappy or gzip.
    """
    if encoding == SNAPPY:
        content = bytes(cramjam.snappy.compress(message))
    elif encoding != GZIP:
        content = bytes(message)
    else:
        compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 31)
        content = compressor.compress(message) + compressor.flush()
    return b"\1" + len(content).to_bytes(4, "big") + content


def decompressed(content: memoryview, encoding: str, limit: int) -> bytes:
    """What a message was.

    :param limit: bytes that it may have.
    :raises CallError: it is larger, or no such message.
    """
    limit = min(limit, MAX_DECOMPRESSED)
    if encoding == SNAPPY:
        if _snappy_size(content) > limit:
            raise _too_large(limit)
        try:
            return bytes(cramjam.snappy.decompress(content)) if content else b""
        except cramjam.DecompressionError as error:
            raise _broken(encoding, str(error)) from None
    if encoding == GZIP:
        return _gunzipped(content, limit)
    raise CallError(
        Code.INTERNAL, "a message is compressed, and no encoding was announced", FailureKind.PROTOCOL
    )


def blocks(block: bytearray, encoding: str, limit: int) -> Iterator[bytearray]:
    """Framed messages, some of them compressed, as blocks of framed messages of which none is.

    :param limit: bytes of one message.
    :raises CallError: one is too large or broken.
    """
    view, at, out = memoryview(block), 0, bytearray()
    while at < len(view):
        end = at + PREFIX_SIZE + int.from_bytes(view[at + 1 : at + PREFIX_SIZE], "big")
        if view[at]:
            message = decompressed(view[at + PREFIX_SIZE : end], encoding, limit)
            out += b"\0" + len(message).to_bytes(4, "big")
            out += message
        else:
            out += view[at:end]
        at = end
        if len(out) >= BLOCK_SIZE:
            yield out
            out = bytearray()
    if out:
        yield out


class Recompressor:
    """Mutable: the beginning of a message whose rest has not come yet. For one call's answers.

    :param encoding: snappy or gzip.
    """

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._partial = bytearray()

    def feed(self, frames: bytes | bytearray | memoryview) -> Iterator[bytes]:
        """Take in framed messages, cut anywhere; those that are complete, compressed."""
        view = memoryview(frames)
        if self._partial:
            self._partial += view
            view, self._partial = memoryview(self._partial), bytearray()
        at = 0
        while len(view) - at >= PREFIX_SIZE:
            end = at + PREFIX_SIZE + int.from_bytes(view[at + 1 : at + PREFIX_SIZE], "big")
            if end > len(view):
                break
            yield compressed(view[at + PREFIX_SIZE : end], self._encoding)
            at = end
        self._partial += view[at:]


def _snappy_size(content: memoryview) -> int:
    """Bytes that a framed stream decompresses to, by what its chunks say."""
    size = at = 0
    while at < len(content):
        if len(content) - at < 4:
            raise _broken(SNAPPY, "a chunk is cut short")
        kind, length = content[at], int.from_bytes(content[at + 1 : at + 4], "little")
        body, at = at + 4, at + 4 + length
        if at > len(content):
            raise _broken(SNAPPY, "a chunk is cut short")
        if kind == 0xFF:
            if content[body - 4 : at] != _SNAPPY_HEADER:
                raise _broken(SNAPPY, "it does not begin as a snappy stream does")
        elif kind in (0, 1):
            held = _raw_size(content[body + 4 : at]) if kind == 0 else length - 4
            if not 0 <= held <= _SNAPPY_BLOCK:
                raise _broken(SNAPPY, "a chunk is larger than the format allows")
            size += held
        elif kind < 0x80:
            raise _broken(SNAPPY, f"chunk type {kind} is not known")
    return size


def _raw_size(block: memoryview) -> int:
    size = 0
    for position, byte in enumerate(block[:5]):
        size |= (byte & 0x7F) << 7 * position
        if byte < 0x80:
            return size
    return -1


def _gunzipped(content: memoryview, limit: int) -> bytes:
    decompressor = zlib.decompressobj(31)
    try:
        message = decompressor.decompress(content, limit + 1)
    except zlib.error as error:
        raise _broken(GZIP, str(error)) from None
    if len(message) > limit:
        raise _too_large(limit)
    if not decompressor.eof or decompressor.unused_data:
        raise _broken(GZIP, "it is cut short, or followed by something else")
    return message


def _too_large(limit: int) -> CallError:
    return CallError(
        Code.RESOURCE_EXHAUSTED,
        f"a compressed message is larger than the limit of {limit} bytes",
        FailureKind.PROTOCOL,
    )


def _broken(encoding: str, what: str) -> CallError:
    return CallError(
        Code.INTERNAL, f"a message is not what {encoding} makes of one: {what}", FailureKind.PROTOCOL
    )
