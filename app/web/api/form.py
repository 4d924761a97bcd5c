"""The parameters of a request: of the body, where it is a form, and of the URL."""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

from app.web.api.errors import bad_data

MAX_BODY = 10 * 1024 * 1024
"""Bytes of a form, as in Go."""
FORM = "application/x-www-form-urlencoded"


class Form(msgspec.Struct, frozen=True):
    """:param values: by name; those of the body stand before those of the URL."""

    values: Mapping[str, Sequence[str]] = {}

    def get(self, name: str) -> str:
        """The first value; "" where there is none."""
        found = self.values.get(name)
        return found[0] if found else ""

    def all(self, name: str) -> tuple[str, ...]:
        """Every value."""
        return tuple(self.values.get(name, ()))


def merged(*encoded: str) -> Form:
    """The parameters of forms, those of the first before those of the next."""
    found: dict[str, list[str]] = {}
    for part in encoded:
        for name, value in parse_qsl(part, keep_blank_values=True, errors="replace"):
            found.setdefault(name, []).append(value)
    return Form(found)


async def read_form(request: Request) -> Form:
    """The parameters of a request.

    :raises ApiError: the body is too large.
    """
    query = request.scope["query_string"].decode("utf-8", "replace")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method not in ("POST", "PUT", "PATCH") or kind != FORM:
        return merged(query)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise bad_data(f"the form is larger than {MAX_BODY} bytes")
    return merged(body.decode("utf-8", "replace"), query)
