"""Text to tokens, as Prometheus's lexer cuts it; its error texts are kept, since clients show them."""

from collections.abc import Collection
from enum import StrEnum
from typing import NoReturn

import msgspec

from app.engine.promql.ast import AGGREGATIONS, Span
from app.engine.promql.quoting import quoted


class Kind(StrEnum):
    """The value is how error texts call a token of this kind."""

    EOF = "end of input"
    ERROR = "error"
    IDENTIFIER = "identifier"
    METRIC_IDENTIFIER = "metric identifier"
    STRING = "string"
    NUMBER = "number"
    DURATION = "duration"
    SYMBOL = "symbol"  # an operator or a bracket: the token's text says which
    KEYWORD = "keyword"  # likewise; the text is in lower case


class Token(msgspec.Struct, frozen=True):
    """
    :param text: as written, but keywords in lower case; of an error, its message.
    :param written: as written.
    """

    kind: Kind
    text: str
    start: int
    end: int
    written: str = ""

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)

    @property
    def described(self) -> str:
        """As an error text names it: ``<by>``, ``identifier "foo"``, ``end of input``."""
        if self.kind is Kind.EOF:
            return "end of input"
        if self.text in _OPERATORS and self.kind in (Kind.SYMBOL, Kind.KEYWORD):
            return f"<op:{self.written}>"
        if self.kind is Kind.KEYWORD and self.text not in _CALLED:
            return f"<aggr:{self.written}>" if self.text in AGGREGATIONS else f"<{self.written}>"
        text = quoted(self.written)
        if self.kind in (Kind.SYMBOL, Kind.KEYWORD):
            return text
        if self.kind in (Kind.STRING, Kind.NUMBER, Kind.DURATION) and len(self.written.encode()) > _SHOWN:
            text = quoted(self.written[:_SHOWN]) + "..."
        return f"{self.kind.value} {text}"


KEYWORDS = AGGREGATIONS | frozenset(
    "and or unless atan2 offset smoothed anchored by without on ignoring group_left group_right fill "
    "fill_left fill_right bool start end step range max_of min_of".split()
)
_OPERATORS = frozenset("+ - * / % ^ == != <= < >= > </ >/ =~ !~ @ and or unless atan2".split())
_CALLED = frozenset({"start", "end", "step", "range", "max_of", "min_of"})
_SHOWN = 10
"""Characters of a literal that an error text shows."""
_IN_BRACKETS = frozenset({"step", "range", "max_of", "min_of"})
_SPACE = frozenset(" \t\n\r")
_DIGITS = frozenset("0123456789")
_HEX = frozenset("0123456789abcdefABCDEF")
_ALPHA = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_WORD = _ALPHA | _DIGITS
_TWO = frozenset({"==", "!=", "<=", ">=", "</", ">/"})


def tokens(text: str) -> list[Token]:
    """All tokens without comments; the last one is EOF or ERROR."""
    return _Lexer(text).run()


class _Fault(Exception):
    pass


class _Lexer:
    """Mutable: the position, what is open, and the tokens so far."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._start = 0
        self._parens = 0
        self._in_braces = False
        self._in_brackets = False
        self._before_number = False
        """In brackets, and no number yet: fewer things may follow, and errors read differently."""
        self._colon = False
        self._duration_seen = False
        """In any brackets so far: Prometheus, too, looks no closer before it takes a colon."""
        self._found: list[Token] = []

    def run(self) -> list[Token]:
        try:
            while self._next():
                pass
        except _Fault as fault:
            self._found.append(Token(Kind.ERROR, str(fault), self._start, len(self._text)))
        return self._found

    def _emitted_in_vain(self, what: str) -> NoReturn:
        """Where Prometheus has made a token already before it finds the fault: the position is after it."""
        self._start = self._at
        raise _Fault(what)

    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._text[at] if at < len(self._text) else ""

    def _emit(self, kind: Kind, length: int) -> None:
        self._at += length
        text = self._text[self._start : self._at]
        if kind is Kind.KEYWORD:
            text = text.lower()
        self._found.append(Token(kind, text, self._start, self._at, self._text[self._start : self._at]))

    def _next(self) -> bool:
        """One token, space or comment; False at the end."""
        self._start = self._at
        char = self._peek()
        if char and char in _SPACE:
            self._at += 1
            return True
        if char == "#" and not (self._in_brackets and self._before_number):
            while self._peek() not in ("", "\n", "\r"):
                self._at += 1
            return True
        if self._in_braces:
            return self._inside_braces(char)
        if self._in_brackets and self._before_number:
            return self._duration(char)
        return self._statement(char)

    def _statement(self, char: str) -> bool:
        if not char:
            if self._parens:
                raise _Fault("unclosed left parenthesis")
            if self._in_brackets:
                raise _Fault("unclosed left bracket")
            self._found.append(Token(Kind.EOF, "", self._at, self._at))
            return False
        if char in _DIGITS or (char == "." and self._peek(1) in _DIGITS and self._peek(1)):
            self._number()
        elif char in "\"'`":
            self._string(char)
        elif char in _ALPHA or char == ":":
            self._word(char)
        elif char in "()":
            self._paren(char)
        elif char in "[]":
            self._bracket(char)
        elif char == "{":
            self._emit(Kind.SYMBOL, 1)
            self._in_braces = True
        else:
            self._operator(char)
        return True

    def _operator(self, char: str) -> None:
        after = self._peek(1)
        if char + after in _TWO:
            self._emit(Kind.SYMBOL, 2)
        elif char == "=" and after == "~":
            raise _Fault("unexpected character after '=': '~'")
        elif char == "!":
            raise _Fault(f"unexpected character after '!': {_rune(after)}")
        elif char in ",*/%+-^=<>@":
            self._emit(Kind.SYMBOL, 1)
        else:
            raise _Fault(f"unexpected character: {_rune(char)}")

    def _paren(self, char: str) -> None:
        self._parens += 1 if char == "(" else -1
        if self._parens < 0:
            self._at += 1
            self._emitted_in_vain("unexpected right parenthesis ')'")
        self._emit(Kind.SYMBOL, 1)

    def _bracket(self, char: str) -> None:
        if char == "[" and self._in_brackets:
            raise _Fault("unexpected left bracket '['")
        if char == "]" and not self._in_brackets:
            raise _Fault("unexpected right bracket ']'")
        self._emit(Kind.SYMBOL, 1)
        self._in_brackets = self._before_number = char == "["
        self._colon = False

    def _word(self, char: str) -> None:
        if self._in_brackets:
            self._word_in_brackets(char)
            return
        length = 1
        while (after := self._peek(length)) and (after in _WORD or after == ":"):
            length += 1
        word = self._text[self._at : self._at + length]
        lower = word.lower()
        if lower in ("inf", "nan"):
            self._emit(Kind.NUMBER, length)
        elif lower in KEYWORDS and not (lower.startswith("fill") and not self._before_paren(length)):
            self._emit(Kind.KEYWORD, length)
        else:
            self._emit(Kind.METRIC_IDENTIFIER if ":" in word else Kind.IDENTIFIER, length)

    def _before_paren(self, ahead: int) -> bool:
        """`fill` is a metric name unless a parenthesis follows, so that old queries keep their meaning."""
        while (after := self._peek(ahead)) and after in _SPACE:
            ahead += 1
        return after == "("

    def _word_in_brackets(self, char: str) -> None:
        if char == ":":
            if self._colon:
                raise _Fault("unexpected colon ':'")
            self._emit(Kind.SYMBOL, 1)
            self._colon = True
        elif not self._duration_keyword():
            raise _Fault(f"unexpected character: {_rune(char)}, expected ':'")

    def _duration_keyword(self) -> bool:
        length = 1
        while (after := self._peek(length)) and after in _ALPHA:
            length += 1
        if self._text[self._at : self._at + length].lower() not in _IN_BRACKETS:
            return False
        self._emit(Kind.KEYWORD, length)
        return True

    def _duration(self, char: str) -> bool:
        """What may stand in brackets before the first number."""
        if not char:
            raise _Fault("unexpected end of input in duration expression")
        if char == ":":
            if self._colon or not self._duration_seen:
                self._at += 1
                self._emitted_in_vain(
                    f"unexpected {'repeated colon' if self._duration_seen else 'colon before duration'}"
                    " in duration expression"
                )
            self._emit(Kind.SYMBOL, 1)
            self._colon = True
        elif char == "]":
            self._bracket(char)
        elif char in "()":
            self._paren(char)
        elif char in "+-*/%^,":
            self._emit(Kind.SYMBOL, 1)
        elif char in _DIGITS or (char == "." and self._peek(1) in _DIGITS):
            self._before_number = False
            self._duration_seen = True
            self._number()
        elif not (char in _ALPHA and self._duration_keyword()):
            raise _Fault(f"unexpected character in duration expression: {_rune(char)}")
        return True

    def _inside_braces(self, char: str) -> bool:
        if not char:
            raise _Fault("unexpected end of input inside braces")
        if char in _ALPHA:
            length = 1
            while (after := self._peek(length)) and after in _WORD:
                length += 1
            self._emit(Kind.IDENTIFIER, length)
        elif char in "\"'`":
            self._string(char)
        elif char == ",":
            self._emit(Kind.SYMBOL, 1)
        elif char == "=":
            self._emit(Kind.SYMBOL, 2 if self._peek(1) == "~" else 1)
        elif char == "!":
            if self._peek(1) not in ("~", "="):
                raise _Fault(f"unexpected character after '!' inside braces: {_rune(self._peek(1))}")
            self._emit(Kind.SYMBOL, 2)
        elif char == "{":
            raise _Fault("unexpected left brace '{'")
        elif char == "}":
            self._emit(Kind.SYMBOL, 1)
            self._in_braces = False
        else:
            raise _Fault(f"unexpected character inside braces: {_rune(char)}")
        return True

    # -- strings

    def _string(self, mark: str) -> None:
        length = 1
        while (char := self._peek(length)) != mark:
            if not char or (char == "\n" and mark != "`"):
                raise _Fault("unterminated raw string" if mark == "`" else "unterminated quoted string")
            length += self._escape(length + 1, mark) if char == "\\" and mark != "`" else 1
        self._emit(Kind.STRING, length + 1)

    def _escape(self, at: int, mark: str) -> int:
        """The length of an escape whose backslash is just before `at`."""
        char = self._peek(at)
        if not char:
            raise _Fault("escape sequence not terminated")
        if char in "abfnrtv\\" or char == mark:
            return 2
        if char in "01234567":
            first, digits, base, most = at, 3, 8, 255
        elif char in "xuU":
            first, digits, base = at + 1, {"x": 2, "u": 4, "U": 8}[char], 16
            most = 255 if char == "x" else 0x10FFFF
        else:
            raise _Fault(f"unknown escape sequence {_unicode(char)}")
        value = 0
        for each in range(first, first + digits):
            digit = self._peek(each)
            if not digit:
                raise _Fault("escape sequence not terminated")
            if digit not in _HEX or int(digit, 16) >= base:
                raise _Fault(f"illegal character {_unicode(digit)} in escape sequence")
            value = value * base + int(digit, 16)
        if value > most or 0xD800 <= value < 0xE000:
            raise _Fault("escape sequence is an invalid Unicode code point")
        return 1 + first - at + digits

    # -- numbers

    def _number(self) -> None:
        length, fine = self._scan_number()
        if fine:
            self._emit(Kind.NUMBER, length)
            return
        length, fine = self._scan_duration(length)
        if not fine:
            raise _Fault(f"bad number or duration syntax: {quoted(self._text[self._at : self._at + length])}")
        self._emit(Kind.DURATION, length)

    def _is(self, length: int, chars: Collection[str]) -> bool:
        after = self._peek(length)
        return after != "" and after in chars

    def _scan_number(self) -> tuple[int, bool]:
        """How far a number goes, and whether it is one; what it is worth is seen later."""
        digits = _DIGITS
        length = int(self._is(0, "0"))
        if length and self._is(1, "xX"):
            length, digits = 2, _HEX
            length += self._is(length, "_")
        length += self._is(length, ".")
        length += self._is(length, digits)
        dot = exponent = False
        while self._is(length, digits) or self._is(length, "._eE"):
            char = self._peek(length)
            length += 1
            if char == ".":
                if dot:
                    return length, False
                if self._is(length, "_."):
                    return length + 1, False
                if digits is _HEX:
                    return length, False
                dot = True
            elif char in "_eE":  # an exponent even among hexadecimal digits, unless one comes before it
                if char != "_" and exponent:
                    return length, False
                if char != "_":
                    exponent = True
                    length += self._is(length, "+-")
                if self._is(length, "._eE"):
                    return length + 1, False
                if not self._peek(length):
                    return length, False
            else:
                while self._is(length, digits):
                    length += 1
        return length, not self._is(length, _WORD)

    def _scan_duration(self, length: int) -> tuple[int, bool]:
        """Goes on where the number stopped: a unit, and pairs of number and unit."""
        if not self._is(length, "smhdwy"):
            return length, False
        length += 1
        length += self._is(length, "s")
        while self._is(length, _DIGITS):
            while self._is(length, _DIGITS):
                length += 1
            if not self._is(length, "smhdw"):
                return length, False
            length += 1
            length += self._is(length, "s")
        if self._is(length, _WORD):
            return length + 1, False
        return length, True


def _rune(char: str) -> str:
    return quoted(char, "'") if char else "'\ufffd'"


def _unicode(char: str) -> str:
    return f"U+{ord(char):04X}" + (f" '{char}'" if char.isprintable() else "")
