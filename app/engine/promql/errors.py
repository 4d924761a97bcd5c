"""What is wrong with a query, and where."""

from app.engine.promql.ast import Span


class ParseError(Exception):
    """A query that is not PromQL; the text is Prometheus's: ``1:5: parse error: unexpected ...``.

    :param what: without the position.
    """

    def __init__(self, what: str, span: Span, query: str) -> None:
        self.what = what
        self.span = span
        super().__init__(f"{_position(query, span.start)}: parse error: {what}")


def _position(query: str, at: int) -> str:
    if not query:
        return "unknown position"
    if not 0 <= at <= len(query):
        return "invalid position"
    return position(query, at)


def position(query: str, at: int) -> str:
    """Line and column, both from 1: ``1:14``. Prometheus counts the bytes of a line.

    :param at: characters.
    """
    line = query[query.rfind("\n", 0, at) + 1 : at]
    return f"{query.count(chr(10), 0, at) + 1}:{len(line.encode(errors='surrogateescape')) + 1}"
