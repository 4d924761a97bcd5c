"""TLS handshakes in memory: two TLS objects, two buffers, no sockets."""

import ssl
from typing import NamedTuple


class Outcome(NamedTuple):
    """Both ends after a handshake. An error is None for the side that had none."""

    client: ssl.SSLObject
    server: ssl.SSLObject
    client_error: ssl.SSLError | None
    server_error: ssl.SSLError | None

    @property
    def ok(self) -> bool:
        return self.client_error is None and self.server_error is None


def shake(
    client: ssl.SSLContext,
    server: ssl.SSLContext,
    *,
    name: str = "localhost",
    session: ssl.SSLSession | None = None,
) -> Outcome:
    """Let `client` and `server` shake hands, and send one byte each way where they did."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    left = client.wrap_bio(to_client, to_server, server_hostname=name, session=session)
    right = server.wrap_bio(to_server, to_client, server_side=True)
    errors: dict[ssl.SSLObject, ssl.SSLError] = {}
    done: set[ssl.SSLObject] = set()
    for _ in range(8):
        for each in (left, right):
            if each in done or each in errors:
                continue
            try:
                each.do_handshake()
                done.add(each)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                errors[each] = error
    for sender, receiver in ((right, left), (left, right)):
        if sender not in errors and receiver not in errors:
            try:
                sender.write(b"x")
                receiver.read(1)
            except ssl.SSLError as error:
                errors[receiver] = error
    # With TLS 1.3 the client is done before the server has seen its certificate: read the alert.
    if right in errors and left not in errors:
        try:
            left.read(1)
        except ssl.SSLError as error:
            errors[left] = error
    return Outcome(left, right, errors.get(left), errors.get(right))
