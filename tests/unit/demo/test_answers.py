import pytest

from app.demo import wire
from app.demo.answers import SERIES, Question, ask_label_names, ask_series, matcher, questions
from app.demo.dataset import Dataset, Shape
from app.demo.store_options import Faults
from app.demo.synthetic import SyntheticStore
from app.pb.thanos import LabelMatcherType, LabelNamesResponse, SeriesRequest, SeriesResponse

SHAPE = Shape(series=16)
STORE = Dataset("eu", "a", SHAPE)
UP = matcher(LabelMatcherType.EQ, "__name__", "up")


def _question() -> Question:
    return ask_series("up", [STORE], [UP])


def _right() -> list[bytes]:
    request = SeriesRequest.parse(_question().request)
    return [series.encoded() for series in STORE.select(request)]


def _single(series: list[bytes]) -> bytes:
    return wire.framed([wire.field(1, each) for each in series])


def test_the_right_series_in_any_batching() -> None:
    series = _right()
    judge = _question().judge
    assert len(series) == 4
    assert judge(_single(series)) == ""
    batch = wire.field(4, b"".join(wire.field(1, each) for each in series[1:]))
    assert judge(wire.framed([wire.field(1, series[0]), batch])) == ""
    assert judge(_single(series)) == ""


def test_one_bit_of_a_chunk_is_noticed() -> None:
    series = _right()
    changed = bytearray(series[2])
    changed[-1] ^= 1
    fault = _question().judge(_single([*series[:2], bytes(changed), series[3]]))
    assert fault.startswith("series 2 differs")


@pytest.mark.parametrize("change", ["missing", "twice", "order", "chunk"])
def test_other_differences(change: str) -> None:
    series = _right()
    changed = {
        "missing": series[1:],
        "twice": [*series, series[-1]],
        "order": [series[1], series[0], *series[2:]],
        "chunk": [*series[:3], STORE.series[-1].encoded(skip_chunks=True)],
    }[change]
    assert _question().judge(_single(changed)) != ""


def test_a_warning_is_a_failure_although_the_series_are_right() -> None:
    warning = bytes(SeriesResponse(warning="us is missing"))
    answer = _single(_right()) + wire.framed([warning])
    assert _question().judge(answer) == "a warning: us is missing"


@pytest.mark.parametrize("answer", [b"\1\0\0\0\0", b"\0\0\0\0\5ab", wire.framed([b"\xff\xff"])])
def test_what_cannot_be_read(answer: bytes) -> None:
    assert _question().judge(answer).startswith("the answer cannot be read")


def test_lists() -> None:
    question = ask_label_names([STORE])
    right = LabelNamesResponse(names=sorted({name for series in STORE.series for name, _ in series.labels}))
    assert question.judge(bytes(right)) == ""
    assert question.judge(bytes(LabelNamesResponse(names=right.names[1:]))) != ""
    assert question.judge(b"\x0a").startswith("the answer cannot be read")
    assert "warning" in question.judge(bytes(LabelNamesResponse(names=right.names, warnings=["gone"])))


def test_a_round_of_questions_has_answers() -> None:
    stores = [Dataset(realm, replica, SHAPE) for realm in ("eu", "us") for replica in "ab"]
    asked = questions(stores)
    assert len({question.name for question in asked}) == len(asked)
    assert {question.method for question in asked} >= {SERIES, "/thanos.Store/LabelNames"}
    for question in asked:
        assert question.judge(b"") != "", f"{question.name}: nothing is accepted as an answer"


def test_the_store_answers_what_is_expected_of_it() -> None:
    store = SyntheticStore(STORE, Faults())
    for question in questions([STORE]):
        if not question.streams:
            continue
        messages = store._series_messages(SeriesRequest.parse(question.request))
        assert question.judge(wire.framed(list(messages))) == ""
