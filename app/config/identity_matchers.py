"""What each client of the gRPC listener may see: ``IDENTITY={matchers}``. Pure."""

import re

from app.config.client_tls import is_identity
from app.config.expressions import expression
from app.config.model import IdentityMatchers, MatcherText
from app.config.selector_labels import unquoted

_STRING = r"""(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)"""
_MATCHER = re.compile(rf"\s*([a-zA-Z_][a-zA-Z0-9_]*|{_STRING})\s*(=~|!~|!=|=)\s*({_STRING})\s*")
_FORM = 'write spiffe://realm.example/workload={realm="a"}'


def canonical(identity: str) -> str:
    """An identity as it is compared: names of DNS do not know case."""
    return identity if "://" in identity else identity.lower()


def parse_identity_matchers(text: str) -> IdentityMatchers:
    """One value of the flag.

    :raises ValueError: with what is wrong.
    """
    identity, opened, rest = text.partition("={")
    if not opened or not rest.endswith("}"):
        raise ValueError(f"{text!r} is not an identity with matchers; {_FORM}")
    if not is_identity(identity):
        raise ValueError(f"{identity!r} is neither a SPIFFE URI nor a DNS name")
    matchers = _matchers(rest[:-1], identity)
    if not matchers:
        raise ValueError(f"{identity}: no matchers; leave the flag out for one that may see everything")
    return IdentityMatchers(canonical(identity), matchers)


def _matchers(text: str, identity: str) -> tuple[MatcherText, ...]:
    found: list[MatcherText] = []
    at = 0
    while at < len(text.rstrip()):
        match = _MATCHER.match(text, at)
        if match is None or text[match.end() : match.end() + 1] not in ("", ","):
            raise ValueError(f"{identity}: {text[at:].strip()!r} does not begin with a matcher; {_FORM}")
        name, operator, value = match.groups()
        found.append((operator, _unquoted(name), _unquoted(value)))
        _check(found[-1], identity)
        at = match.end() + 1
    return tuple(found)


def _unquoted(text: str) -> str:
    if text[0] == "`":
        return text[1:-1]
    return unquoted(text[1:-1]) if text[0] in "\"'" else text


def _check(matcher: MatcherText, identity: str) -> None:
    operator, name, value = matcher
    if not name:
        raise ValueError(f"{identity}: a label without name")
    if operator not in ("=~", "!~"):
        return
    try:
        expression(value)
    except ValueError as error:
        raise ValueError(f"{identity}: {name}: {error}") from None
