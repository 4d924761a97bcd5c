"""Which group an address belongs to when several name it. Pure."""

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from app.config.addresses import same_endpoint


@lru_cache(maxsize=65536)
def canonical(address: str) -> tuple[str, int]:
    """The same for all ways to write an address: a plaintext group must not get what a TLS group names in
    other letters."""
    return same_endpoint(address)


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What one group names.

    :param addresses: static ones first, then discovered ones.
    :param complete: False while its discovery has not looked yet.
    :param running: addresses that it has already.
    """

    group: str
    tls: bool
    addresses: tuple[str, ...]
    complete: bool = True
    running: frozenset[str] = frozenset()


class Duplicate(msgspec.Struct, frozen=True):
    """An address that a group names and does not get, since `winner` has it (or it named it twice)."""

    group: str
    address: str
    winner: str


class Assignment(msgspec.Struct, frozen=True):
    """:param addresses: of each group, in the order of the claims."""

    addresses: tuple[tuple[str, ...], ...]
    duplicates: tuple[Duplicate, ...]


def assign(claims: Sequence[Claims]) -> Assignment:
    """Give each address to one group: the first that names it with TLS, else the first that names it.

    Until the discovery of every TLS group has looked, a group without TLS gets no address that it does not
    have already: it might turn out to be one that must not be spoken to in plaintext.
    """
    owners: dict[tuple[str, int], int] = {}
    for with_tls in (True, False):
        for position, claim in enumerate(claims):
            if claim.tls is with_tls:
                for address in claim.addresses:
                    owners.setdefault(canonical(address), position)
    undecided = any(claim.tls and not claim.complete for claim in claims)
    given: list[tuple[str, ...]] = []
    duplicates: list[Duplicate] = []
    for position, claim in enumerate(claims):
        mine: dict[tuple[str, int], str] = {}
        for address in claim.addresses:
            key = canonical(address)
            if owners[key] != position or key in mine:
                duplicates.append(Duplicate(claim.group, address, claims[owners[key]].group))
            else:
                mine[key] = address
        held = undecided and not claim.tls
        given.append(tuple(each for each in mine.values() if not held or each in claim.running))
    return Assignment(tuple(given), tuple(duplicates))
