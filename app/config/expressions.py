"""Regular expressions of operators and clients: RE2's, matched as a whole, a dot matches a newline too."""

from typing import Protocol, cast

import re2


class Expression(Protocol):
    """A compiled one."""

    def fullmatch(self, text: str) -> object | None:
        """None: `text` as a whole does not match."""


def expression(text: str) -> Expression:
    """Compile one.

    :raises ValueError: with what is wrong, in RE2's words.
    """
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    try:
        return cast(Expression, re2.compile(text, options))
    except re2.error as error:
        said = error.args[0]  # bytes
        said = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        raise ValueError(f"{text!r} is not a regular expression: {said}") from None
