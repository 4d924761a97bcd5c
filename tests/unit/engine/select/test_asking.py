"""What endpoints are asked for is UTF-8, whatever the escapes of a query make."""

from hypothesis import given
from hypothesis import strategies as st

from app.engine.model import Hints
from app.engine.promql.ast import Matcher
from app.engine.select.asking import encoded, label_matchers, series_request
from app.engine.select.model import SelectOptions
from app.pb.thanos import SeriesRequest, ShardInfo


def test_what_is_not_utf_8_is_replaced() -> None:
    (found,) = label_matchers([Matcher("=", "é\udcff", "é\udc80")])
    assert (found.name, found.value) == ("é\ufffd", "é\ufffd")
    hints = Hints(start=0, end=1, grouping=("a\udcff",), by=True)
    request = series_request([Matcher("!=", "a", "\udcff")], hints, SelectOptions())
    assert bytes(request)
    assert request.query_hints is not None
    assert request.query_hints.grouping is not None
    assert request.query_hints.grouping.labels == ["a\ufffd"]


TEXTS = st.text(max_size=4)
TIMES = st.integers(-(2**62), 2**62)
MATCHERS = st.builds(Matcher, st.sampled_from(["=", "!=", "=~", "!~"]), TEXTS, TEXTS)
HINTS = st.builds(
    Hints,
    start=TIMES,
    end=TIMES,
    step=st.integers(0, 2**40),
    range=st.integers(0, 2**40),
    func=st.sampled_from(["", "rate", "sum_over_time", "count", "max", "a\u00e9"]),
    grouping=st.lists(TEXTS, max_size=3).map(tuple),
    by=st.booleans(),
)
OPTIONS = st.builds(
    SelectOptions,
    dedup=st.booleans(),
    replica_labels=st.lists(TEXTS, max_size=2).map(tuple),
    max_resolution=st.integers(0, 2**40),
    abort=st.booleans(),
    shard_info=st.sampled_from([b"", bytes(ShardInfo(1, 3, True, ["a"]))]),
)


@given(st.lists(MATCHERS, max_size=3), HINTS, OPTIONS)
def test_requests_are_written_as_the_generated_code_writes_them(
    matchers: list[Matcher], hints: Hints, options: SelectOptions
) -> None:
    request = series_request(matchers, hints, options)
    assert SeriesRequest.parse(encoded(request)) == request
    assert encoded(request) == bytes(request)
