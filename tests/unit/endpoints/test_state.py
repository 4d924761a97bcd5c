import string

from hypothesis import given
from hypothesis import strategies as st

from app.endpoints.info import parse_info
from app.endpoints.model import State
from app.endpoints.state import MAX_REASON, EndpointState
from tests.unit.endpoints.fakes import info_bytes

TIMEOUT = 300.0
INFO, OTHER = parse_info(info_bytes(zone="a")), parse_info(info_bytes(zone="b"))
NEW = EndpointState(since=100.0)


def failed(state: EndpointState, now: float, reason: str = "refused", strict: bool = False) -> EndpointState:
    return state.failed(reason, now, unhealthy_timeout=TIMEOUT, strict=strict)


def test_new_knows_nothing() -> None:
    assert (NEW.state, NEW.info, NEW.last_check, NEW.last_error) == (State.NEW, None, 0.0, "")


def test_first_answer_makes_it_healthy() -> None:
    state = NEW.answered(INFO, 105)
    assert (state.state, state.info, state.since, state.last_check) == (State.HEALTHY, INFO, 105, 105)


def test_never_answered_is_unhealthy_with_its_reason() -> None:
    state = failed(failed(NEW, 105), 110, "expired certificate")
    assert (state.state, state.info, state.since) == (State.UNHEALTHY, None, 105)
    assert (state.last_error, state.last_check) == ("expired certificate", 110)


def test_unhealthy_keeps_what_it_answered_until_the_timeout() -> None:
    healthy = NEW.answered(INFO, 105)
    assert failed(healthy, 105 + TIMEOUT - 1).info == INFO
    forgotten = failed(failed(healthy, 110), 105 + TIMEOUT)
    assert forgotten.info is None
    assert (forgotten.state, forgotten.since) == (State.UNHEALTHY, 110)
    assert failed(forgotten, 106 + TIMEOUT).info is None


def test_the_timeout_counts_from_the_last_answer() -> None:
    state = NEW.answered(INFO, 100)
    for now in range(105, 1000, 5):
        state = state.answered(INFO, now)
    assert failed(state, 1000).info == INFO


def test_a_strict_one_forgets_nothing() -> None:
    assert failed(NEW.answered(INFO, 105), 105 + 10 * TIMEOUT, strict=True).info == INFO


def test_an_answer_heals_and_replaces() -> None:
    state = failed(NEW.answered(INFO, 105), 110).answered(OTHER, 115)
    assert (state.state, state.info, state.since, state.last_error) == (State.HEALTHY, OTHER, 115, "")


def test_a_long_reason_is_cut_and_an_empty_one_is_not_empty() -> None:
    assert len(failed(NEW, 101, "x" * 5000).last_error) == MAX_REASON
    assert failed(NEW, 101, "").last_error


def test_interruption_is_no_check() -> None:
    state = NEW.answered(INFO, 105).interrupted("crashed", 500)
    assert (state.state, state.info, state.since) == (State.UNHEALTHY, INFO, 500)
    assert (state.last_check, state.last_error) == (105, "crashed")
    assert state.interrupted("crashed again", 600).since == 500


def test_only_times_of_checks_look_alike() -> None:
    healthy = NEW.answered(INFO, 105)
    assert healthy.looks_like(healthy.answered(parse_info(info_bytes(zone="a")), 110))
    assert not healthy.looks_like(healthy.answered(OTHER, 110))
    unhealthy = failed(healthy, 110)
    assert not healthy.looks_like(unhealthy)
    assert unhealthy.looks_like(failed(unhealthy, 115))
    assert not unhealthy.looks_like(failed(unhealthy, 115, "another reason"))


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["answered", "failed", "interrupted"]),
        st.floats(0, 400),
        st.sampled_from([INFO, OTHER]),
        st.text(string.printable, max_size=20),
    ),
    max_size=30,
)


@given(EVENTS, st.booleans())
def test_any_sequence_of_events_holds_to_the_rules(
    events: list[tuple[str, float, object, str]], strict: bool
) -> None:
    state, now = EndpointState(since=0.0), 0.0
    last_answer: tuple[float, object] | None = None
    for kind, wait, info, reason in events:
        now += wait
        before = state
        if kind == "answered":
            state, last_answer = state.answered(INFO if info is INFO else OTHER, now), (now, info)
        elif kind == "failed":
            state = failed(state, now, reason, strict)
        else:
            state = state.interrupted(reason, now)
        assert (state.state is State.HEALTHY) == (kind == "answered")
        assert (state.last_error == "") == (state.state is State.HEALTHY)
        assert state.since == (before.since if before.state is state.state else now)
        assert state.last_check == (before.last_check if kind == "interrupted" else now)
        if state.info is not None:
            assert last_answer is not None
            assert state.info is last_answer[1]
        if kind == "failed" and last_answer is not None:
            kept = before.info is not None and (strict or now - last_answer[0] < TIMEOUT)
            assert (state.info is not None) == kept
