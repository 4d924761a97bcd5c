import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config.addresses import split_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("localhost:10901", "localhost", 10901),
        ("10.0.0.1:1", "10.0.0.1", 1),
        ("[::1]:20", "::1", 20),
        ("sidecar-0.eu.example.:65535", "sidecar-0.eu.example.", 65535),
        ("under_score:1", "under_score", 1),
    ],
)
def test_takes_host_and_port(text: str, host: str, port: int) -> None:
    assert split_address(text) == (host, port)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("http://a:1", "scheme"),
        ("a", "no port"),
        ("a:", "not a port"),
        ("a:x", "not a port"),
        ("a:65536", "not a port"),
        ("a:0", "port 0"),
        (":1", "no host"),
        ("::1:30", "in brackets"),
        ("[::g]:1", "not a v6 address"),
        ("1.2.3.400:1", "neither"),
        ("a b:1", "white space"),
        ("-a:1", "neither"),
        ("dns+a:1", "to look up"),
        ("dnssrv+_grpc._tcp.a:1", "to look up"),
    ],
)
def test_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        split_address(text)


def test_a_listener_may_leave_the_host_out_and_take_any_port() -> None:
    assert split_address(":0", listening=True) == ("", 0)
    assert split_address("0.0.0.0:10901", listening=True) == ("0.0.0.0", 10901)


@given(st.text(max_size=40))
def test_never_raises_anything_else(text: str) -> None:
    try:
        host, port = split_address(text)
    except ValueError:
        return
    assert host
    assert 0 < port < 65536
