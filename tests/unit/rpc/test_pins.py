"""What rpc touches of other people's private parts: when one of these fails, read before you upgrade."""

import inspect
from importlib import metadata

import pytest
from grpclib import protocol
from grpclib.config import Configuration
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.stream import H2Stream
from hyperframe.frame import Frame


@pytest.mark.parametrize(
    ("name", "version"),
    [("grpclib", "0.4.9"), ("h2", "4.4.1"), ("hpack", "4.2.0"), ("hyperframe", "6.1.0")],
)
def test_versions(name: str, version: str) -> None:
    assert metadata.version(name) == version


def test_grpclib() -> None:
    assert list(inspect.signature(protocol.Connection.__init__).parameters) == [
        "self", "connection", "transport", "config"
    ]  # fmt: skip
    assert list(inspect.signature(protocol.EventsProcessor.__init__).parameters) == [
        "self",
        "handler",
        "connection",
    ]
    for method in (
        "register", "close", "process", "process_request_received", "process_response_received",
        "process_data_received", "process_stream_reset", "process_connection_terminated",
        "process_remote_settings_changed", "process_ping_ack_received",
    ):  # fmt: skip
        assert callable(getattr(protocol.EventsProcessor, method)), method
    source = inspect.getsource(protocol.EventsProcessor.register)
    assert "_streams.pop(stream.id)" in source
    assert "unacked_size()" in source
    for name in ("write_ready", "stream_close_waiter"):
        assert f"self.{name} = Event()" in inspect.getsource(protocol.Connection.__init__)
    for name in ("headers_received", "trailers_received", "window_updated"):
        assert f"self.{name} = Event()" in inspect.getsource(protocol.Stream.__init__)
    assert callable(protocol._set_nodelay)
    assert Configuration().__for_client__().http2_stream_window_size


def test_h2() -> None:
    connection = H2Connection(H2Configuration(client_side=True))
    connection.initiate_connection()
    stream_id = connection.get_next_available_stream_id()
    connection.send_headers(
        stream_id, [(":method", "POST"), (":path", "/"), (":scheme", "http"), (":authority", "a")]
    )
    stream = connection.streams[stream_id]
    assert isinstance(stream, H2Stream)
    assert isinstance(stream.outbound_flow_control_window, int)
    assert isinstance(connection.outbound_flow_control_window, int)
    assert connection.highest_outbound_stream_id == stream_id
    assert connection.highest_inbound_stream_id == 0
    assert stream.closed is False
    assert hasattr(stream, "_expected_content_length")
    assert "self._receive_goaway_frame" in inspect.getsource(H2Connection.__init__)


def test_hyperframe() -> None:
    from app.rpc.patches import apply_patches

    apply_patches()
    assert "object" in repr(Frame.__repr__)
