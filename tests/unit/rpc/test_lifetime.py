"""The life of an accepted connection: what is sent when, for any order of events."""

from hypothesis import given
from hypothesis import strategies as st

from app.rpc.lifetime import ACK_LIMIT, CUT_AFTER, LINGER, PREFACE_LIMIT, Action, Lifetime, Phase


def born(
    *,
    max_age: float | None = None,
    grace: float | None = None,
    expires: float | None = None,
    greeted: bool = True,
) -> Lifetime:
    life = Lifetime(0.0, max_age=max_age, grace=grace, expires=expires)
    if greeted:
        life.greeted(0.1)
    return life


def test_a_client_that_says_nothing_is_closed() -> None:
    life = born(greeted=False)
    assert life.deadline == PREFACE_LIMIT
    assert life.tick(PREFACE_LIMIT - 0.1, 0) is Action.NONE
    assert life.tick(PREFACE_LIMIT, 0) is Action.CLOSE


def test_age_drains_in_two_steps_and_waits_for_the_streams() -> None:
    life = born(max_age=60.0)
    assert life.tick(59.9, 2) is Action.NONE
    assert life.tick(60.0, 2) is Action.FIRST_GOAWAY
    assert life.acknowledged(60.5, 2) is Action.LAST_GOAWAY
    assert life.tick(10_000.0, 2) is Action.NONE, "without a grace the streams may take as long as they like"
    life.stream_ended(10_001.0, 1)
    assert str(life.phase) == "last"
    life.stream_ended(10_002.0, 0)
    assert life.phase is Phase.LINGER
    assert life.deadline == 10_002.0 + LINGER
    assert life.tick(10_002.0 + LINGER, 0) is Action.CLOSE
    assert not life.forced


def test_a_client_that_does_not_answer_the_ping_gets_the_second_goaway_all_the_same() -> None:
    life = born(max_age=60.0)
    life.tick(60.0, 0)
    assert life.tick(60.0 + ACK_LIMIT, 0) is Action.LAST_GOAWAY
    assert life.phase is Phase.LINGER


def test_a_late_answer_to_the_ping_changes_nothing() -> None:
    life = born(max_age=60.0)
    life.tick(60.0, 1)
    life.tick(60.0 + ACK_LIMIT, 1)
    assert life.acknowledged(70.0, 1) is Action.NONE


def test_the_grace_cuts_what_is_open_and_counts_it() -> None:
    life = born(max_age=60.0, grace=5.0)
    life.tick(60.0, 1)
    life.acknowledged(60.1, 1)
    assert life.tick(65.0, 1) is Action.CLOSE
    assert life.forced


def test_a_peer_that_is_not_trusted_is_cut_soon_even_when_it_drains_already() -> None:
    life = born(max_age=60.0)
    life.tick(60.0, 1)
    assert life.distrust(61.0) is Action.NONE
    assert life.deadline is not None and life.deadline <= 61.0 + CUT_AFTER
    life.acknowledged(61.1, 1)
    assert life.tick(61.0 + CUT_AFTER, 1) is Action.CLOSE
    assert CUT_AFTER < 10.0


def test_it_ends_with_the_peers_certificate() -> None:
    life = born(expires=1000.0)
    assert life.deadline is not None and life.deadline < 1000.0
    assert life.tick(life.deadline, 1) is Action.FIRST_GOAWAY
    life.acknowledged(990.0, 1)
    assert life.tick(1000.0, 1) is Action.CLOSE
    assert life.forced


def test_the_sooner_of_two_reasons_to_drain_counts() -> None:
    life = born(max_age=60.0)
    life.drain_by(30.0, "renewed")
    life.drain_by(50.0, "later")
    assert life.tick(30.0, 0) is Action.FIRST_GOAWAY
    assert life.reason == "renewed"


_EVENTS = st.sampled_from(["ack", "end", "tick", "drain", "distrust", "drain_by", "broken"])


def happen(life: Lifetime, event: str, now: float) -> Action:
    match event:
        case "ack":
            return life.acknowledged(now, 0)
        case "end":
            life.stream_ended(now, 0)
        case "tick":
            return life.tick(now, 0)
        case "drain":
            return life.drain(now, "test")
        case "distrust":
            return life.distrust(now)
        case "drain_by":
            life.drain_by(now + 1, "test")
        case "broken":
            life.broken(now)
    return Action.NONE


@given(
    st.lists(st.tuples(_EVENTS, st.floats(0.01, 40.0)), max_size=40),
    st.none() | st.floats(1, 100),
    st.none() | st.floats(0, 20),
    st.none() | st.floats(10, 500),
)
def test_any_order_of_events_keeps_the_order_of_frames(
    events: list[tuple[str, float]], max_age: float | None, grace: float | None, expires: float | None
) -> None:
    life = born(max_age=max_age, grace=grace, expires=expires)
    now, sent = 0.1, list[Action]()
    for event, wait in events:
        now += wait
        action = happen(life, event, now)
        if action is not Action.NONE:
            sent.append(action)
        assert not (life.phase is Phase.CLOSED and life.deadline is not None)
    order = [Action.FIRST_GOAWAY, Action.LAST_GOAWAY, Action.CLOSE]
    assert sent == sorted(sent, key=order.index)
    assert len(set(sent)) == len(sent), "each at most once"
    if Action.LAST_GOAWAY in sent:
        assert Action.FIRST_GOAWAY in sent
