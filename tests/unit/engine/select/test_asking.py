"""What endpoints are asked for is UTF-8, whatever the escapes of a query make."""

from app.engine.model import Hints
from app.engine.promql.ast import Matcher
from app.engine.select.asking import label_matchers, series_request
from app.engine.select.model import SelectOptions


def test_what_is_not_utf_8_is_replaced() -> None:
    (found,) = label_matchers([Matcher("=", "é\udcff", "é\udc80")])
    assert (found.name, found.value) == ("é\ufffd", "é\ufffd")
    hints = Hints(start=0, end=1, grouping=("a\udcff",), by=True)
    request = series_request([Matcher("!=", "a", "\udcff")], hints, SelectOptions())
    assert bytes(request)
    assert request.query_hints is not None
    assert request.query_hints.grouping is not None
    assert request.query_hints.grouping.labels == ["a\ufffd"]
