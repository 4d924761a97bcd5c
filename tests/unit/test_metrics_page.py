"""docs/metrics.md describes every metric, and none that there is not."""

from tests.harness.metrics import in_source, on_the_page


def test_the_page_and_the_code_agree() -> None:
    page, source = on_the_page(), in_source()
    assert sorted(metric.name for metric in source - page) == []
    assert sorted(metric.name for metric in page - source) == []
    assert len(source) > 50
