"""Headers that are remembered are those that h2 would have found."""

from collections.abc import Sequence

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import Event, RequestReceived, ResponseReceived, TrailersReceived
from h2.exceptions import ProtocolError, TooManyStreamsError
from h2.settings import SettingCodes
from hypothesis import given, settings
from hypothesis import strategies as st

from app.rpc.headers import MOST, RememberingH2, only_indices

Headers = Sequence[tuple[str, str]]

REQUEST = [
    (":method", "POST"), (":scheme", "http"), (":path", "/a/b"), (":authority", "x"), ("te", "trailers"),
]  # fmt: skip
RESPONSE = [(":status", "200"), ("content-type", "application/grpc")]
TRAILERS = [("grpc-status", "0")]


def connection(kind: type[H2Connection], *, client: bool) -> H2Connection:
    config = H2Configuration(
        client_side=client, header_encoding="utf-8",
        validate_outbound_headers=False, normalize_outbound_headers=False,
    )  # fmt: skip
    return kind(config=config)


def pair(client: type[H2Connection], server: type[H2Connection]) -> tuple[H2Connection, H2Connection]:
    """Two ends that have greeted each other."""
    ends = connection(client, client=True), connection(server, client=False)
    for end in ends:
        end.initiate_connection()
    exchange(*ends)
    return ends


def exchange(client: H2Connection, server: H2Connection) -> None:
    for _ in range(2):
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())


def seen(events: Sequence[Event]) -> list[tuple[object, ...]]:
    return [
        (
            type(each),
            each.stream_id,
            [tuple(header) for header in each.headers or ()],
            bool(each.stream_ended),
        )
        if isinstance(each, RequestReceived | ResponseReceived | TrailersReceived)
        else (type(each), getattr(each, "stream_id", None))
        for each in events
    ]


def call(client: H2Connection, server: H2Connection, headers: Headers, extra: Headers) -> list[object]:
    """One call from headers to trailers; all that both ends saw of it."""
    stream_id = client.get_next_available_stream_id()
    client.send_headers(stream_id, headers, end_stream=True)
    found: list[object] = [seen(server.receive_data(client.data_to_send()))]
    server.send_headers(stream_id, [*RESPONSE, *extra])
    found.append(seen(client.receive_data(server.data_to_send())))
    server.send_headers(stream_id, TRAILERS, end_stream=True)
    found.append(seen(client.receive_data(server.data_to_send())))
    return found


NAMED = st.lists(
    st.tuples(st.sampled_from(["x-a", "x-b", "grpc-timeout"]), st.sampled_from(["1", "2", "v" * 2000])),
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(NAMED, NAMED), min_size=1, max_size=30), st.sampled_from([None, 0, 64, 300]))
def test_what_is_seen_is_what_h2_sees(calls: list[tuple[Headers, Headers]], table: int | None) -> None:
    """Values that fill the dynamic table push others out of it, and a peer may make it small."""
    ours, theirs = pair(RememberingH2, RememberingH2), pair(H2Connection, H2Connection)
    for number, (more, extra) in enumerate(calls):
        if table is not None and number == len(calls) // 2:
            for client, server in (ours, theirs):
                server.update_settings({SettingCodes.HEADER_TABLE_SIZE: table})
                exchange(client, server)
        headers = [*REQUEST, *more]
        assert call(*ours, headers, extra) == call(*theirs, headers, extra)


def test_what_comes_again_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    client, server = pair(RememberingH2, RememberingH2)
    first = call(client, server, REQUEST, [])
    call(client, server, REQUEST, [])  # now all of it is in the tables
    for end in (client, server):
        monkeypatch.setattr(end.decoder, "decode", None)  # nothing is decoded any more
    again = call(client, server, REQUEST, [])
    assert len(str(again)) == len(str(first))


def test_remembered_headers_are_given_out_anew() -> None:
    client, server = pair(RememberingH2, RememberingH2)
    for _ in range(3):
        stream_id = client.get_next_available_stream_id()
        client.send_headers(stream_id, REQUEST, end_stream=True)
        (received, _) = server.receive_data(client.data_to_send())
        assert isinstance(received, RequestReceived) and received.headers is not None
        assert seen([received]) == [(RequestReceived, stream_id, REQUEST, True)]
        received.headers.clear()


def test_what_is_remembered_is_bounded() -> None:
    client, server = pair(RememberingH2, RememberingH2)
    for _ in range(2):
        for number in range(2 * MOST):
            call(client, server, REQUEST, [("x", str(number % 40))])
    assert isinstance(client, RememberingH2) and isinstance(server, RememberingH2)
    assert 0 < len(client._blocks) <= MOST
    assert 0 < len(server._blocks) <= MOST


@pytest.mark.parametrize("times", [1, 2, 3])
def test_more_streams_than_allowed_are_refused(times: int) -> None:
    client, server = pair(RememberingH2, RememberingH2)
    for _ in range(times):
        call(client, server, REQUEST, [])
    server.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 1})
    exchange(client, server)
    client.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 100  # a client that does not care
    client.remote_settings.acknowledge()
    for _ in range(2):
        client.send_headers(client.get_next_available_stream_id(), REQUEST)
    with pytest.raises(TooManyStreamsError):
        server.receive_data(client.data_to_send())


@pytest.mark.parametrize("kind", [RememberingH2, H2Connection])
@pytest.mark.parametrize("end", [True, False])
def test_a_request_where_trailers_belong_is_refused(kind: type[H2Connection], end: bool) -> None:
    client, server = pair(H2Connection, kind)
    for _ in range(3):
        call(client, server, REQUEST, [])
    block = client.encoder.encode(REQUEST)
    assert only_indices(block)
    stream_id = client.get_next_available_stream_id()
    client.send_headers(stream_id, REQUEST)
    server.receive_data(client.data_to_send())
    flags = 0x5 if end else 0x4  # END_HEADERS, and END_STREAM
    again = len(block).to_bytes(3, "big") + bytes([1, flags]) + stream_id.to_bytes(4, "big") + block
    with pytest.raises(ProtocolError):
        server.receive_data(again)


def test_only_indices() -> None:
    assert only_indices(b"\x82\xbe")
    for block in (b"", b"\x80", b"\xff\x00", b"\x82\x40", b"\x82" * 65, b"\x20\x82"):
        assert not only_indices(block)
