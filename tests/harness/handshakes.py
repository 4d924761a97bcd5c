"""TLS handshakes by hand, as a client that this project did not write would make them."""

import socket
import ssl
import struct
import threading
from functools import partial

import anyio
import anyio.to_thread
import msgspec

from app.demo.pki import Identity
from app.demo.realms import Front

_TIMEOUT = 5.0
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack(">I", 0)[1:] + b"\x04\x00" + bytes(4)


class Shaken(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a handshake.

    :param accepted: the server sent its first HTTP/2 frame: with TLS 1.3 only that shows it.
    :param serial: of the server's leaf, lower-case hex; "" when none was seen.
    :param resumed: a session was offered and the server took it.
    """

    accepted: bool
    error: str = ""
    serial: str = ""
    resumed: bool = False
    session: ssl.SSLSession | None = None


def client_context(
    front: Front, identity: Identity | None, *, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    """Trusts what `front` trusts now and shows `identity` as it is on disk now; None: no certificate."""
    context = ssl.create_default_context(cafile=front.trust.ca_file)
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    if identity is not None:
        context.load_cert_chain(identity.cert_file, identity.key_file)
    return context


def _shake(
    address: str, context: ssl.SSLContext, session: ssl.SSLSession | None, held: threading.Event | None
) -> Shaken:
    host, port = address.rsplit(":", 1)
    serial = ""
    try:
        with socket.create_connection((host, int(port)), timeout=_TIMEOUT) as plain:
            if held is not None:
                held.wait(_TIMEOUT)
            with context.wrap_socket(plain, server_hostname=host, session=session) as secure:
                certificate = secure.getpeercert() or {}
                serial = str(certificate.get("serialNumber", "")).lower().lstrip("0")
                secure.sendall(_PREFACE)
                accepted = len(secure.recv(9)) > 0
                return Shaken(
                    accepted=accepted,
                    error="" if accepted else "closed",
                    serial=serial,
                    resumed=bool(secure.session_reused),
                    session=secure.session,
                )
    except OSError as error:
        return Shaken(accepted=False, error=f"{type(error).__name__}: {error}", serial=serial)


async def shake(
    address: str,
    context: ssl.SSLContext,
    *,
    session: ssl.SSLSession | None = None,
    held: threading.Event | None = None,
) -> Shaken:
    """One handshake and the HTTP/2 preface, then the end of the connection.

    :param session: to resume; of an earlier handshake with the same context.
    :param held: the connection is open, and the ClientHello waits for this event (at most 5 s).
    """
    return await anyio.to_thread.run_sync(partial(_shake, address, context, session, held))
