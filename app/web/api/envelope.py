"""What every answer is wrapped in: `status`, `data`, `errorType`, `error`, `warnings`."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice

import msgspec
from starlette.responses import Response, StreamingResponse

from app.web.api.encoding import blocks, encoded
from app.web.api.errors import ApiError

CORS = {
    "access-control-allow-headers": "Accept, Accept-Encoding, Authorization, Content-Type, Origin",
    "access-control-allow-methods": "GET, POST, OPTIONS",
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "Date",
}
AT_ONCE = 3
"""Blocks up to which an answer is sent whole: handing one to a thread takes as long as making it."""
_JSON = {"content-type": "application/json"}
_UNCACHED = {**_JSON, "cache-control": "no-store"}


class Result(msgspec.Struct, frozen=True):
    """What a handler found.

    :param data: JSON in pieces, each of bounded size.
    :param warnings: what is missing from it, or is said about the request; such an answer is not cached.
    :param annotations: what PromQL has to say about the query.
    :param slow: whether the first of `data` takes so long that it is to be made in a thread.
    """

    data: Iterator[bytes]
    warnings: Sequence[str] = ()
    annotations: Sequence[str] = ()
    slow: bool = False


def result_of(data: object, warnings: Sequence[str] = ()) -> Result:
    """A small one.

    :param data: anything that msgspec encodes.
    """
    return Result(iter((encoded(data),)), warnings)


def success(result: Result, cors: Mapping[str, str]) -> Response:
    """200. One that is larger than a few blocks is streamed, the rest of its blocks made in threads."""
    warnings = list(dict.fromkeys((*result.warnings, *result.annotations)))
    end = b',"warnings":' + encoded(warnings) + b"}" if warnings else b"}"
    content = blocks(chain((b'{"status":"success","data":',), result.data, (end,)))
    headers = {**(_UNCACHED if result.warnings else _JSON), **cors}
    first = list(islice(content, AT_ONCE + 1))
    if len(first) <= AT_ONCE:
        return Response(b"".join(first), headers=headers)
    return StreamingResponse(chain(first, content), headers=headers)


def failure(error: ApiError, cors: Mapping[str, str]) -> Response:
    """An error, never cached."""
    content = encoded({"status": "error", "errorType": error.kind, "error": error.text})
    return Response(content, error.kind.status, headers={**_UNCACHED, **cors})


def nothing(cors: Mapping[str, str]) -> Response:
    """204."""
    return Response(status_code=204, headers=cors)
