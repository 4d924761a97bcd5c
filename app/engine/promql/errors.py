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
    before = query[:at]
    return f"{before.count(chr(10)) + 1}:{at - before.rfind(chr(10))}"
