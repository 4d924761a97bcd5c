"""The token stream as a parser walks it."""

from typing import NoReturn

import re2

from app.engine.promql.ast import NumberLiteral, Span
from app.engine.promql.errors import ParseError
from app.engine.promql.features import Features
from app.engine.promql.lexer import Kind, Token, tokens
from app.engine.promql.literals import duration_seconds, number
from app.engine.promql.quoting import quoted, unquoted


class TokenStream:
    """Mutable: the position."""

    def __init__(self, text: str, features: Features) -> None:
        self.text = text
        self.features = features
        self._tokens = tokens(text)
        self._at = 0
        self.last = Token(Kind.EOF, "", 0, 0)
        """The token consumed last."""
        self._refuse_error()

    @property
    def token(self) -> Token:
        return self._tokens[self._at]

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
        self._refuse_error()
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

    def _refuse_error(self) -> None:
        """What the lexer stumbled over comes before all that a parser could say of it."""
        token = self.token
        if token.kind is Kind.ERROR:
            raise ParseError(token.text, token.span, self.text)

    def fail(self, what: str, span: Span) -> NoReturn:
        raise ParseError(what, span, self.text)

    def unexpected(self, context: str = "", expected: str = "") -> NoReturn:
        """The next token may not stand here."""
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
            self.fail(f"error parsing regexp: {text}", span)
