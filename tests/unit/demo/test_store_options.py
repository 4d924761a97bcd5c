import pytest

from app.demo.dataset import Shape
from app.demo.store_options import Faults, StoreOptions, arguments, parse


def test_flags_and_options_are_two_forms_of_one_thing() -> None:
    options = StoreOptions(
        realm="us",
        replica="b",
        address="127.0.0.1:9",
        count=3,
        cert_file="/c",
        key_file="/k",
        client_ca_file="/ca",
        min_version="1.2",
        max_connection_age=1.5,
        shape=Shape(series=7, start=11, chunk_bytes=9),
        faults=Faults(delay=0.1, stall_after=0, garbage=True, fail="ABORTED", reversed_order=True),
    )
    assert parse(arguments(options)) == options


def test_nothing_said_is_the_default() -> None:
    assert parse([]) == StoreOptions()
    assert arguments(StoreOptions()) == []


def test_an_unknown_flag_ends_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--garbag"])
    assert "--garbag" in capsys.readouterr().err
