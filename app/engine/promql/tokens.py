"""The token stream as a parser walks it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import re2

from app.engine.promql.ast import NumberLiteral, Span
from app.engine.promql.errors import ParseError
from app.engine.promql.features import Features
from app.engine.promql.lexer import Kind, Token, tokens
from app.engine.promql.literals import duration_seconds, number
from app.engine.promql.quoting import quoted, unquoted

_GO_TEXTS = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "trailing \\": "trailing backslash at end of expression",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
}
"""What Go's library, and with it Prometheus, calls a fault that RE2's own calls differently."""


class TokenStream:
    """Mutable: the position."""

    def __init__(self, text: str, features: Features) -> None:
        self.text = text
        self.features = features
        self._tokens = tokens(text)
        self._at = 0
        self.last = Token(Kind.EOF, "", 0, 0)
        """The token consumed last."""
        self._contexts: list[tuple[str, str]] = []
        """What is being read, and what was expected of it, for faults that have no text of their own."""

    @property
    def token(self) -> Token:
        """The next token.

        :raises ParseError: the lexer stumbled over it. Nobody sees that before somebody looks at it, so that
            faults of what stands before come first.
        """
        token = self._tokens[self._at]
        if token.kind is Kind.ERROR:
            raise ParseError(token.text, token.span, self.text)
        return token

    def peek(self) -> Token:
        """The token after the next."""
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)]

    def is_a(self, *kinds: Kind) -> bool:
        """Whether the next token is of one of these kinds."""
        return self.token.kind in kinds

    def at(self, text: str) -> bool:
        """Whether the next token is this symbol or keyword."""
        token = self.token
        return token.text == text and token.kind in (Kind.SYMBOL, Kind.KEYWORD)

    def advance(self) -> Token:
        self.last = self.token
        self._at += 1
        return self.last

    def accept(self, text: str) -> bool:
        if not self.at(text):
            return False
        self.advance()
        return True

    def expect(self, text: str) -> Token:
        if not self.at(text):
            self.unexpected()
        return self.advance()

    def fail(self, what: str, span: Span) -> NoReturn:
        raise ParseError(what, span, self.text)

    @contextmanager
    def within(self, context: str, expected: str = "") -> Iterator[None]:
        """What a fault in here is said of, unless something inside has a text of its own."""
        self._contexts.append((context, expected))
        yield
        self._contexts.pop()

    def unexpected(self, context: str = "", expected: str = "") -> NoReturn:
        """The next token may not stand here."""
        if not context and self._contexts:
            context, expected = self._contexts[-1]
        what = f"unexpected {self.token.described}"
        if context:
            what += f" in {context}"
        if expected:
            what += f", expected {expected}"
        self.fail(what, self.token.span)

    # -- literals

    def literal(self) -> NumberLiteral:
        """A number, or a duration as seconds."""
        token = self.advance()
        try:
            if token.kind is Kind.DURATION:
                return NumberLiteral(duration_seconds(token.text), True, token.span)
            return NumberLiteral(number(token.text), False, token.span)
        except ValueError as error:
            self.fail(str(error), token.span)

    def unquoted(self, token: Token) -> str:
        try:
            return unquoted(token.text)
        except ValueError as error:
            self.fail(f"error unquoting string {quoted(token.text)}: {error}", token.span)

    def check_expression(self, value: str, span: Span) -> None:
        """Matchers' expressions are RE2's."""
        options = re2.Options()
        options.log_errors = False
        try:
            re2.compile(value, options)
        except re2.error as error:
            text = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error.args[0])
            fault, _, where = text.partition(": ")
            text = _GO_TEXTS.get(fault, fault) + (f": `{where}`" if where else "")
            self.fail(f"error parsing regexp: {text}", span)
