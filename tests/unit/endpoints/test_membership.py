from hypothesis import given
from hypothesis import strategies as st

from app.endpoints.membership import Claims, Duplicate, assign, canonical


def claims(
    group: str, *addresses: str, tls: bool = False, complete: bool = True, running: str = ""
) -> Claims:
    return Claims(
        group=group, tls=tls, addresses=addresses, complete=complete, running=frozenset(running.split())
    )


def test_the_first_group_wins() -> None:
    result = assign([claims("a", "h:1", "h:2"), claims("b", "h:2", "h:3")])
    assert result.addresses == (("h:1", "h:2"), ("h:3",))
    assert result.duplicates == (Duplicate("b", "h:2", "a"),)


def test_tls_wins_over_an_earlier_plaintext_group() -> None:
    result = assign(
        [claims("plain", "h:1", "h:2"), claims("eu", "h:2", tls=True), claims("us", "h:2", tls=True)]
    )
    assert result.addresses == (("h:1",), ("h:2",), ())
    assert result.duplicates == (Duplicate("plain", "h:2", "eu"), Duplicate("us", "h:2", "eu"))


def test_twice_in_one_group_counts_once() -> None:
    result = assign([claims("a", "h:1", "h:2", "h:1")])
    assert result.addresses == (("h:1", "h:2"),)
    assert result.duplicates == (Duplicate("a", "h:1", "a"),)


def test_other_spellings_are_the_same_address() -> None:
    assert canonical("[::1]:1") == canonical("[0:0:0:0:0:0:0:1]:1")
    assert canonical("Store.EU.example.:1") == canonical("store.eu.example:1")
    result = assign([claims("plain", "HOST.example:1"), claims("eu", "host.example.:1", tls=True)])
    assert result.addresses == ((), ("host.example.:1",))


def test_plaintext_waits_until_every_tls_group_has_looked() -> None:
    looking = claims("eu", tls=True, complete=False)
    result = assign([claims("plain", "h:1", "h:2", running="h:2"), looking, claims("us", "h:3", tls=True)])
    assert result.addresses == (("h:2",), (), ("h:3",))
    assert result.duplicates == ()


def test_plaintext_does_not_wait_for_plaintext() -> None:
    assert assign([claims("a", "h:1"), claims("b", complete=False)]).addresses == (("h:1",), ())


ADDRESSES = st.lists(st.sampled_from([f"h:{port}" for port in range(1, 8)]), max_size=8)


@given(st.lists(st.tuples(st.booleans(), ADDRESSES), max_size=5))
def test_each_address_goes_to_exactly_one_group(groups: list[tuple[bool, list[str]]]) -> None:
    named = [claims(str(place), *addresses, tls=tls) for place, (tls, addresses) in enumerate(groups)]
    result = assign(named)
    given_out = [address for addresses in result.addresses for address in addresses]
    assert sorted(given_out) == sorted({address for claim in named for address in claim.addresses})
    assert len(given_out) + len(result.duplicates) == sum(len(claim.addresses) for claim in named)
    with_tls = {address for claim in named if claim.tls for address in claim.addresses}
    for claim, addresses in zip(named, result.addresses, strict=True):
        assert claim.tls or not with_tls & set(addresses)
