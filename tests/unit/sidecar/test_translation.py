"""Remote-read frames become Series messages: the same chunks, the right labels, in the right order."""

import random
from collections.abc import Iterable, Sequence

import google_crc32c
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import CallError, Code
from app.fanout.wire import field, varint
from app.sidecar import translation
from app.sidecar.translation import OutOfOrder, Shard, Translation, TranslationOptions
from tests.unit.sidecar.frames import (
    FLOAT_HISTOGRAM,
    HISTOGRAM,
    Chunk,
    Item,
    Labels,
    chunked_series,
    frame,
    framed,
    items,
    messages,
    order_of,
    series_of,
)

CHUNK = Chunk(1000, 2000, b"\x00\x01data")


def translate(
    content: bytes, *, options: TranslationOptions | None = None, step: int = 1 << 20, eager: bool = False
) -> bytes:
    """All that goes out, fed in steps of so many bytes."""
    made = Translation(options or TranslationOptions())
    out = bytearray()
    for at in range(0, len(content), step):
        if made.add(content[at : at + step]) or eager:
            for each in made.translated(final=False):
                out += each
    for each in made.translated(final=True):
        out += each
    return bytes(out)


def answer(items_: Iterable[Item]) -> bytes:
    """What Prometheus sends: in the order of the series' own labels."""
    return b"".join(
        frame(labels, chunks) for labels, chunks in sorted(items_, key=lambda each: order_of(each[0]))
    )


def wanted(items_: Iterable[Item], external: Labels, without: Sequence[str] = ()) -> list[Item]:
    """The plain twin."""
    found = [
        (
            {name: value for name, value in {**labels, **external}.items() if name not in without},
            list(chunks),
        )
        for labels, chunks in items_
    ]
    return sorted(found, key=lambda each: order_of(each[0]))


def test_labels_are_added_in_their_places_and_replace_their_own() -> None:
    options = TranslationOptions(external=(("a", "1"), ("replica", "x"), ("zone", "z")))
    came = [({"__name__": "up", "job": "p", "replica": "mine"}, [CHUNK])]
    (series,) = series_of(messages(translate(answer(came), options=options)))
    assert [(each.name, each.value) for each in series.labels] == [
        ("__name__", "up"), ("a", "1"), ("job", "p"), ("replica", "x"), ("zone", "z"),
    ]  # fmt: skip


def test_replica_labels_are_left_out_and_nothing_is_there_twice() -> None:
    options = TranslationOptions(external=(("realm", "eu"), ("replica", "x")), without=("replica",))
    came = [({"__name__": "up", "realm": "eu", "replica": "x"}, [CHUNK])]  # Prometheus has merged its own in
    assert items(series_of(messages(translate(answer(came), options=options)))) == [
        ({"__name__": "up", "realm": "eu"}, [CHUNK])
    ]


def test_a_series_whose_labels_begin_another_changes_places_with_it() -> None:
    came = [({"a": "1"}, [CHUNK]), ({"a": "1", "b": "2"}, [CHUNK]), ({"a": "1", "z": "3"}, [CHUNK])]
    options = TranslationOptions(external=(("m", "x"),))
    for eager in (False, True):
        out = translate(answer(came), options=options, step=1, eager=eager)
        found = [labels for labels, _ in items(series_of(messages(out)))]
        assert found == [{"a": "1", "b": "2", "m": "x"}, {"a": "1", "m": "x"}, {"a": "1", "m": "x", "z": "3"}]


def test_times_below_zero_and_all_encodings() -> None:
    chunks = [
        Chunk(-5, -1, b"a"),
        Chunk(0, 0, b"", HISTOGRAM),
        Chunk(1, 2**63 - 1, b"c" * 300, FLOAT_HISTOGRAM),
    ]
    assert items(series_of(messages(translate(answer([({"a": "1"}, chunks)]))))) == [({"a": "1"}, chunks)]


def test_chunks_carry_their_hash() -> None:
    (series,) = series_of(messages(translate(answer([({"a": "1"}, [Chunk(1, 2, b"abc")])]))))
    assert series.chunks[0].raw is not None
    assert series.chunks[0].raw.hash == 0x44BC2CF5AD770999  # of xxHash's own test


def test_a_series_that_spans_frames_is_one() -> None:
    first, second = [Chunk(1, 2, b"a")], [Chunk(3, 4, b"b"), Chunk(5, 6, b"c")]
    content = frame({"a": "1"}, first) + frame({"a": "1"}, second) + frame({"a": "2"}, first)
    for step in (1, 7, 1 << 20):
        found = items(series_of(messages(translate(content, step=step, eager=True))))
        assert found == [({"a": "1"}, first + second), ({"a": "2"}, first)]


def test_a_series_that_is_too_large_for_a_message_goes_out_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translation, "PIECE", 1000)
    chunks = [Chunk(at, at, bytes(600)) for at in range(4)]
    content = b"".join(frame({"a": "1"}, [each]) for each in chunks)
    assert items(series_of(messages(translate(content)))) == [({"a": "1"}, [each]) for each in chunks]


@pytest.mark.parametrize(("batch", "sizes"), [(0, [1] * 5), (1, [1] * 5), (2, [2, 2, 1]), (64, [5])])
def test_batches(batch: int, sizes: list[int]) -> None:
    came = [({"a": str(number)}, [CHUNK]) for number in range(5)]
    found = messages(translate(answer(came), options=TranslationOptions(batch=batch)))
    assert [len(each.batch.series) if each.batch else 1 for each in found] == sizes
    assert all((each.batch is None) is (batch < 2) for each in found)
    assert items(series_of(found)) == came


def test_a_message_does_not_grow_past_what_clients_take() -> None:
    came = [({"a": str(number)}, [Chunk(1, 2, bytes(700_000))]) for number in range(6)]
    made = Translation(TranslationOptions(batch=64))
    made.add(answer(came))
    found = messages(b"".join(bytes(each) for each in made.translated(final=True)))
    assert [len(each.batch.series) for each in found if each.batch] == [2, 2, 2]
    assert items(series_of(found)) == came


def test_the_answer_ends_at_its_limit() -> None:
    came = [({"a": f"{number:02}"}, [CHUNK]) for number in range(10)]
    made = Translation(TranslationOptions(limit=3))
    made.add(answer(came))
    out = b"".join(bytes(each) for each in made.translated(final=False))
    assert made.done
    assert items(series_of(messages(out))) == came[:3]


def test_limits_of_the_sidecar_end_the_call() -> None:
    came = [({"a": str(number)}, [CHUNK, CHUNK]) for number in range(4)]
    for options, says in (
        (TranslationOptions(max_series=3), "limit of 3 series"),
        (TranslationOptions(max_chunks=7), "limit of 840 samples"),
    ):
        with pytest.raises(CallError, match=says) as caught:
            translate(answer(came), options=options)
        assert caught.value.code is Code.RESOURCE_EXHAUSTED
    translate(answer(came), options=TranslationOptions(max_series=4, max_chunks=8))


def test_shards_part_the_series() -> None:
    came = [({"__name__": "m", "a": str(number), "b": "x"}, [CHUNK]) for number in range(40)]
    external = (("realm", "eu"),)
    for by, names in ((True, ("a", "realm")), (False, ("b",))):
        found: list[Item] = []
        for index in range(3):
            options = TranslationOptions(external=external, shard=Shard(index, 3, by, names))
            part = items(series_of(messages(translate(answer(came), options=options))))
            assert 0 < len(part) < 40
            found += part
        assert sorted(found, key=lambda each: order_of(each[0])) == wanted(came, dict(external))
    one = TranslationOptions(shard=Shard(0, 2, True, ("b",)))  # all have the same value
    assert len(series_of(messages(translate(answer(came), options=one)))) in (0, 40)


def test_own_labels_under_an_external_name_that_were_not_known_end_the_call() -> None:
    came = [({"a": "1", "m": "b"}, [CHUNK]), ({"a": "1", "m": "b", "n": "1"}, [CHUNK]), ({"a": "2"}, [CHUNK])]
    late = [*came, ({"a": "9", "b": "1"}, [CHUNK])]
    options = TranslationOptions(external=(("a", "1"),))
    with pytest.raises(OutOfOrder, match="ask again"):
        translate(answer(late), options=options, step=1, eager=True)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (frame({"a": "1"}, [CHUNK])[:-1], "ended within a frame"),
        (b"\x05" + bytes(4) + b"\x0a\x03abc", "checksum"),
        (framed(b"\x0a\xff\x01"), "not a ChunkedReadResponse"),
        (framed(field(1, b"\x12\x03\x0a\x05a")), "not a ChunkedReadResponse"),
        (b"\xff" * 12, "larger than"),
        (varint(translation.FRAME_LIMIT + 1) + bytes(20), "larger than"),
    ],
)
def test_broken_answers_are_refused(content: bytes, says: str) -> None:
    with pytest.raises(CallError, match=says) as caught:
        translate(content)
    assert caught.value.code is Code.INTERNAL


def test_an_encoding_that_is_not_known_is_named() -> None:
    with pytest.raises(CallError, match="encoding 4") as caught:
        translate(frame({"a": "1"}, [Chunk(1, 2, b"x", 4)]))
    assert caught.value.code is Code.UNIMPLEMENTED


def test_several_series_in_one_frame_and_none() -> None:
    several = b"".join(field(1, chunked_series({"a": name}, [CHUNK])) for name in "123")
    content = framed(several) + framed(b"\x10\x00") + framed(b"")
    for step in (1, 1 << 20):
        found = items(series_of(messages(translate(content, step=step, eager=True))))
        assert found == [({"a": name}, [CHUNK]) for name in "123"]


def test_what_waits_is_bounded() -> None:
    came = [({"a": "1"}, [Chunk(1, 2, bytes(5000))])]
    with pytest.raises(CallError, match="resort-buffer"):
        made = Translation(TranslationOptions(hold=1000))
        made.add(answer(came))
        list(made.translated(final=False))


NAMES = st.sampled_from(["a", "b", "bb", "c", "é", "z"])
SETS = st.dictionaries(
    NAMES, st.sampled_from(["", "0", "1", "x\0y", "ü", "long" * 40]), min_size=1, max_size=5
)


@settings(max_examples=150, deadline=None)
@given(
    came=st.lists(SETS, max_size=12),
    external=st.dictionaries(st.sampled_from(["0", "aa", "m", "zz"]), st.sampled_from(["", "v"]), max_size=3),
    without=st.lists(st.sampled_from(["aa", "m", "none"]), max_size=2),
    step=st.sampled_from([1, 50, 400]),
    seed=st.integers(0, 2**32),
)
def test_any_series_in_any_steps(
    came: list[dict[str, str]], external: dict[str, str], without: list[str], step: int, seed: int
) -> None:
    chance = random.Random(seed)
    unique = {tuple(sorted(each.items())): each for each in came}.values()

    def chunks() -> list[Chunk]:
        count = chance.choice((1, 3))
        return [Chunk(at, at + 1, chance.randbytes(chance.choice((0, 3, 200)))) for at in range(count)]

    given_ = [(each, chunks()) for each in unique]
    options = TranslationOptions(
        external=tuple(sorted(external.items())), without=tuple(without), batch=chance.choice((0, 3))
    )
    out = translate(answer(given_), options=options, step=step, eager=True)
    assert items(series_of(messages(out))) == wanted(given_, external, without)


def test_the_checksum_is_castagnolis() -> None:
    assert google_crc32c.value(b"123456789") == 0xE3069283
