"""Making one connection to an endpoint: resolve, connect, fresh material, TLS, the first SETTINGS.

It counts as made when the endpoint's SETTINGS arrive. With TLS 1.3 the handshake is over, for the client,
before the server has looked at the client's certificate.
"""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Callable

import anyio

from app.config.addresses import joined, split_address
from app.errors import CallError, Code, FailureKind, MaterialError
from app.rpc.client_protocol import ClientProtocol
from app.rpc.model import PeerTls
from app.rpc.proxy import Proxy, connect_request, proxy_for, refused_by
from app.tls.certificates import describe, pinned
from app.tls.contexts import handshake_objects
from app.tls.explain import HandshakeFailure, explain_handshake, refused_without_reason
from app.tls.model import Material
from app.tls.peer import Agreed, agreed
from app.tls.provider import Provider

MAX_PROXY_ANSWER = 16 * 1024
"""Bytes of a proxy's answer to CONNECT."""


class ConnectFailure(CallError):
    """No connection could be made.

    :param reason: a slug for metrics.
    :param refused_identity: the endpoint may have refused the client certificate that we offered.
    """

    def __init__(
        self, message: str, kind: FailureKind, reason: str, *, refused_identity: bool = False
    ) -> None:
        super().__init__(Code.UNAVAILABLE, message, kind)
        self.reason = reason
        self.refused_identity = refused_identity


class Connection:
    """A connection that was made. Mutable: only through its protocol.

    :ivar chain: what the endpoint showed, DER, leaf first; empty for plaintext.
    :ivar made_at: seconds since the epoch.
    """

    def __init__(self, protocol: ClientProtocol, material: Material | None, outcome: Agreed | None) -> None:
        self.protocol = protocol
        self.material = material
        self.chain = outcome.chain if outcome else ()
        self.made_at = time.time()
        self.tls: PeerTls | None = None
        if material is not None and outcome is not None:
            self.tls = PeerTls(
                version=outcome.version,
                cipher=outcome.cipher,
                certificate=outcome.certificate,
                local=material.identity,
                generation=material.generation,
            )


async def tcp_connect(host: str, port: int, timeout: float) -> socket.socket:
    """A connected, non-blocking socket; every address of the name is tried within `timeout` seconds.

    :raises ConnectFailure: naming what the last address, or the resolver, answered.
    """
    loop = asyncio.get_running_loop()
    failure: str | None = None
    with anyio.move_on_after(timeout):
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            said = getattr(error, "strerror", None) or error
            raise ConnectFailure(
                f"{host} cannot be resolved: {said}", FailureKind.RESOLVE, "resolve"
            ) from None
        share = max(1.0, timeout / max(1, len(found)))
        for family, kind, protocol, _, address in found:
            try:
                sock = socket.socket(family, kind, protocol)
            except OSError as error:  # no descriptor is left, or no IPv6 here
                failure = (error.strerror or str(error)).lower()
                continue
            sock.setblocking(False)
            try:
                with anyio.fail_after(share):
                    await loop.sock_connect(sock, address)
                return sock
            except TimeoutError:
                failure = f"{address[0]} does not answer"
                sock.close()
            except OSError as error:
                # The event loop's own text has the address once more, and not the reason.
                said = os.strerror(error.errno) if error.errno else str(error)
                failure = f"{address[0]}: {said.lower()}"
                sock.close()
            except BaseException:
                sock.close()
                raise
    raise ConnectFailure(
        f"cannot connect: {failure or f'no answer within {timeout:g} s'}", FailureKind.CONNECT, "connect"
    )


def _proxy(host: str, port: int) -> Proxy | None:
    try:
        return proxy_for(host, port, os.environ)
    except ValueError as error:
        raise ConnectFailure(f"HTTPS_PROXY: {error}", FailureKind.CONNECT, "proxy") from None


async def _tunnel(proxy: Proxy, host: str, port: int, timeout: float) -> socket.socket:
    """A connected socket through an HTTP proxy. The proxy resolves the name.

    :raises ConnectFailure: naming the proxy.
    """
    loop = asyncio.get_running_loop()
    try:
        sock = await tcp_connect(proxy.host, proxy.port, timeout)
    except ConnectFailure as error:
        raise ConnectFailure(f"the proxy {proxy}: {error.message}", error.kind, "proxy") from None
    try:
        with anyio.fail_after(timeout):
            await loop.sock_sendall(sock, connect_request(proxy, host, port))
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                # Byte by byte: what follows the answer is the endpoint's, and is not to be read here.
                byte = await loop.sock_recv(sock, 1)
                answer += byte
                if not byte or len(answer) > MAX_PROXY_ANSWER:
                    break
            refusal = refused_by(answer)
    except (OSError, TimeoutError) as error:
        refusal = str(error) or f"no answer within {timeout:g} s"
    except BaseException:
        sock.close()
        raise
    if refusal:
        sock.close()
        raise ConnectFailure(
            f"the proxy {proxy} does not connect to {joined(host, port)}: {refusal}",
            FailureKind.CONNECT,
            "proxy",
        )
    return sock


async def connect(
    address: str,
    *,
    tls: Provider | None,
    server_name: str,
    material: Material | None,
    connect_timeout: float,
    handshake_timeout: float,
    protocol: Callable[[], ClientProtocol],
) -> Connection:
    """Make a connection.

    :param server_name: for SNI and verification; empty: the host of `address`.
    :param material: to use instead of what `tls` has fresh: the fallback identity.
    :raises ConnectFailure: with the reason in words.
    """
    host, port = split_address(address)
    proxy = _proxy(host, port)
    if proxy is None:
        sock = await tcp_connect(host, port, connect_timeout)
    else:
        sock = await _tunnel(proxy, host, port, connect_timeout)
    try:
        if tls is None:
            return await _plaintext(sock, protocol, handshake_timeout)
        if material is None:
            try:
                material = await tls.fresh()
            except MaterialError as error:
                raise ConnectFailure(
                    f"our own certificates cannot be used: {error}", FailureKind.MATERIAL, error.reason
                ) from None
        return await _secure(sock, tls, server_name or host, material, protocol, handshake_timeout)
    except (OSError, ValueError) as error:
        # A certificate that cannot be read although it was verified, a name that cannot be sent, a socket
        # that was reset between two steps: one endpoint's failure, never the group's.
        sock.close()
        raise ConnectFailure(
            f"no connection could be made: {error}", FailureKind.HANDSHAKE, "other"
        ) from None
    except BaseException:
        sock.close()
        raise


async def _plaintext(
    sock: socket.socket, factory: Callable[[], ClientProtocol], timeout: float
) -> Connection:
    _, protocol = await asyncio.get_running_loop().create_connection(factory, sock=sock)
    try:
        await _settings(protocol, timeout, None)
    except BaseException:
        protocol.cut("no SETTINGS")
        raise
    return Connection(protocol, None, None)


async def _settings(protocol: ClientProtocol, timeout: float, material: Material | None) -> None:
    try:
        with anyio.fail_after(timeout):
            await asyncio.shield(protocol.made)
    except TimeoutError:
        hint = "" if material else "; does it speak TLS?"
        raise ConnectFailure(
            f"the endpoint sent no HTTP/2 SETTINGS within {timeout:g} s{hint}",
            FailureKind.PROTOCOL,
            "settings",
        ) from None
    except ConnectionError as error:
        if material is None:
            hint = "; does it speak TLS?"
            raise ConnectFailure(f"{error}{hint}", FailureKind.CONNECTION_LOST, "closed") from None
        raise


async def _secure(
    sock: socket.socket,
    tls: Provider,
    name: str,
    material: Material,
    factory: Callable[[], ClientProtocol],
    timeout: float,
) -> Connection:
    objects: list[ssl.SSLObject] = []
    token = handshake_objects.set(objects)
    try:
        with anyio.fail_after(timeout + 1):
            transport, protocol = await asyncio.get_running_loop().create_connection(
                factory, sock=sock, ssl=material.context, server_hostname=name, ssl_handshake_timeout=timeout
            )
    except (OSError, EOFError) as error:
        found = explain_handshake(error, name=name, policy=tls.policy, material=material, objects=objects)
        raise _handshake_failure(found, material) from None
    finally:
        handshake_objects.reset(token)
    try:
        outcome = agreed(transport.get_extra_info("ssl_object"))
        _check(outcome, tls, material)
        try:
            await _settings(protocol, timeout, material)
        except ConnectionError:
            lost = protocol.lost_with
            found = refused_without_reason(material)
            if isinstance(lost, ssl.SSLError):
                found = explain_handshake(lost, name=name, policy=tls.policy, material=material)
            raise _handshake_failure(found, material) from None
        # Once more: trust may have changed while the endpoint took its time.
        _check(outcome, tls, material)
    except BaseException:
        protocol.cut("the connection was not made")
        raise
    return Connection(protocol, material, outcome)


def _check(outcome: Agreed, tls: Provider, material: Material) -> None:
    if outcome.alpn != "h2":
        raise ConnectFailure(
            "the endpoint did not agree on HTTP/2 (ALPN h2); is it a gRPC endpoint?",
            FailureKind.HANDSHAKE,
            "alpn",
        )
    pins = tls.policy.peer_identities
    certificate = outcome.certificate
    if pins and (certificate is None or not pinned(certificate, pins)):
        found = "no certificate" if certificate is None else f"{', '.join(certificate.sans)}"
        raise ConnectFailure(
            f"the endpoint's certificate carries none of the pinned identities {', '.join(pins)}:"
            f" it has {found}",
            FailureKind.HANDSHAKE,
            "identity",
        )
    reason = tls.admit(material, outcome.chain)
    if reason is not None:
        raise ConnectFailure(
            f"the endpoint is not trusted any more: {reason}", FailureKind.HANDSHAKE, "unknown_ca"
        )


def _handshake_failure(found: HandshakeFailure, material: Material) -> ConnectFailure:
    refused = found.reason.startswith("refused") or found.reason in ("connection_closed", "handshake_failure")
    return ConnectFailure(
        found.message,
        FailureKind.HANDSHAKE,
        found.reason,
        refused_identity=refused and material.identity is not None,
    )


def offered(material: Material | None) -> str:
    """The identity of `material` for a log line."""
    return describe(material.identity) if material and material.identity else "none"
