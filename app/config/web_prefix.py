"""Prefixes of paths, as flags and headers give them. Pure."""

from urllib.parse import quote, unquote, urlsplit


def clean_prefix(text: str) -> str:
    """A prefix of paths: "" or ``/a/b``. Of a URL it is the path, so that it always stays on this host."""
    try:
        path = urlsplit(text).path
    except ValueError:
        return ""
    parts = [part for part in unquote(path).split("/") if part not in ("", ".", "..")]
    return "".join("/" + quote(part) for part in parts)
