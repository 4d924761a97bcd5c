"""What a request says about its path and about compression, read as other servers read it. Pure."""

from collections.abc import Iterable
from posixpath import normpath
from urllib.parse import quote

RawHeaders = Iterable[tuple[bytes, bytes]]
_NAME = b"accept-encoding"


def cleaned(path: str) -> str:
    """A path without empty parts and dots, as Go's servers redirect to; always on this host.

    :param path: as it stands in the request, escaped.
    """
    clean = normpath("/" + path.lstrip("/"))
    if path.endswith("/") and clean != "/":
        clean += "/"
    # A browser would take a backslash for a slash.
    return quote(clean, safe="/%:@!$&'()*+,;=~")


def accepts_gzip(accepted: str) -> bool:
    """Whether a client names gzip and does not refuse it (RFC 9110 section 12.5.3); `accepted` is its header.

    ``*`` is not taken at its word, as in Thanos.
    """
    weights = {}
    for part in accepted.lower().split(","):
        coding, _, parameters = part.partition(";")
        name, _, weight = parameters.strip().partition("=")
        weights[coding.strip()] = name.strip() != "q" or not _is_zero(weight)
    return weights.get("gzip", weights.get("x-gzip", False))


def _is_zero(weight: str) -> bool:
    try:
        return float(weight) == 0
    except ValueError:
        return False


def agreed(headers: RawHeaders) -> list[tuple[bytes, bytes]]:
    """Headers in which Accept-Encoding says ``gzip`` or nothing: the compression looks for that word."""
    kept = [(name, value) for name, value in headers if name != _NAME]
    accepted = ",".join(value.decode("latin-1") for name, value in headers if name == _NAME)
    return [*kept, (_NAME, b"gzip")] if accepts_gzip(accepted) else kept
