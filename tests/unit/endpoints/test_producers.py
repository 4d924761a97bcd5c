from app.endpoints.info import parse_info
from app.endpoints.metrics import EXTERNAL_LABELS_LIMIT, external_labels_text
from app.endpoints.producers import Producers
from app.pb.thanos.info import InfoResponse, RulesInfo
from tests.unit.endpoints.fakes import info_bytes

SIDECAR = parse_info(info_bytes("sidecar", replica="a"))
RULER = parse_info(info_bytes("rule", replica="a"))
STORE = parse_info(info_bytes("store", replica="a"))


def test_the_second_producer_of_the_same_labels_is_told_of_the_first() -> None:
    producers = Producers()
    assert producers.update("h:1", SIDECAR) == ()
    assert producers.update("h:2", RULER) == ("h:1",)
    assert producers.update("h:2", RULER) == (), "told once"
    assert producers.update("h:3", parse_info(info_bytes("sidecar", replica="b"))) == ()


def test_stores_and_those_without_store_api_may_share_labels() -> None:
    producers = Producers()
    producers.update("h:1", SIDECAR)
    assert producers.update("h:2", STORE) == ()
    without_store = parse_info(bytes(InfoResponse(component_type="rule", rules=RulesInfo())))
    assert producers.update("h:3", without_store) == ()


def test_one_that_is_gone_is_no_duplicate() -> None:
    producers = Producers()
    producers.update("h:1", SIDECAR)
    producers.update("h:1", None)
    assert producers.update("h:2", SIDECAR) == ()
    assert producers.update("h:1", SIDECAR) == ("h:2",)


def test_external_labels_are_written_as_thanos_does() -> None:
    sets = ((("b", 'x"y'),), (("a", "1"), ("z", "2")))
    assert external_labels_text(sets) == '{a="1", z="2"},{b="x\\"y"}'
    assert external_labels_text(()) == ""
    long = external_labels_text([(("a", "x" * 2000),)])
    assert len(long) == EXTERNAL_LABELS_LIMIT
    assert long.endswith("x}")
