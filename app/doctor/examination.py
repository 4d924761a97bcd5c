"""One endpoint reached step by step, with the same parts that the querier reaches it with."""

import asyncio
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import anyio
import msgspec
from prometheus_client import CollectorRegistry

from app.config.addresses import split_address
from app.config.model import EndpointGroup
from app.doctor.advice import advice, warnings_of
from app.doctor.model import Diagnosis, Handshake, InfoResult, Link
from app.endpoints.info import METHOD, parse_info
from app.errors import CallError, FailureKind
from app.rpc.channel import Channel, ChannelOptions
from app.rpc.client_protocol import ClientProtocol
from app.rpc.connecting import ConnectFailure, Connection, connect, tcp_connect
from app.rpc.metrics import ClientMetrics
from app.tls.certificates import certificate_info
from app.tls.model import CertificateInfo
from app.tls.provider import Provider

MESSAGE_LIMIT = 16 * 1024 * 1024
"""Bytes of an Info answer."""


class _Failed(Exception):
    """A step did not succeed; the diagnosis says why."""


class Examination:
    """Mutable: the diagnosis so far. Belongs to one endpoint.

    :param name: that the certificate is verified against, unless the group sets one; empty: the host.
    :param timeout: seconds of each step.
    """

    def __init__(
        self, group: EndpointGroup, address: str, name: str, tls: Provider | None, timeout: float
    ) -> None:
        self._group = group
        self._address = address
        self._tls = tls
        self._timeout = timeout
        host, self._port = split_address(address)
        self._host = host
        self._name = (group.tls.server_name if group.tls else "") or name
        self._found = Diagnosis(group=group.name, address=address, wanted=self._wanted())

    async def run(self) -> Diagnosis:
        """Every step until one fails."""
        try:
            await self._resolve()
            await self._tcp()
            certificates = await self._handshake()
            await self._info()
        except _Failed:
            certificates = []
        warnings = warnings_of(self._group, certificates, time.time())
        return _with(self._found, warnings=warnings)

    def _wanted(self) -> str:
        tls = self._group.tls
        if tls is None:
            return ""
        if tls.insecure_skip_verify:
            return "anybody"
        return ", ".join(tls.peer_identities) or self._name or self._host

    async def _resolve(self) -> None:
        try:
            with anyio.fail_after(self._timeout):
                found = await asyncio.get_running_loop().getaddrinfo(
                    self._host, self._port, type=socket.SOCK_STREAM
                )
        except (OSError, UnicodeError) as error:
            said = getattr(error, "strerror", None) or str(error) or "no answer in time"
            self._failed("resolve", "resolve", f"{self._host} cannot be resolved: {said}")
        self._found = _with(self._found, resolved=tuple(dict.fromkeys(str(each[4][0]) for each in found)))

    async def _tcp(self) -> None:
        begun = time.monotonic()
        try:
            sock = await tcp_connect(self._host, self._port, self._timeout)
        except ConnectFailure as error:
            self._failed("connect", error.reason, error.message)
        sock.close()
        self._found = _with(self._found, tcp_milliseconds=_since(begun))

    async def _handshake(self) -> list[tuple[str, CertificateInfo]]:
        """The certificates that were seen, ours too."""
        begun = time.monotonic()
        try:
            connection = await connect(
                self._address,
                tls=self._tls,
                server_name=self._name,
                material=None,
                connect_timeout=self._timeout,
                handshake_timeout=self._timeout,
                protocol=lambda: ClientProtocol(max_message_size=MESSAGE_LIMIT),
            )
        except ConnectFailure as error:
            self._failed("handshake", error.reason, error.message)
        try:
            return self._describe(connection, _since(begun))
        finally:
            connection.protocol.cut("the doctor has seen enough")

    def _describe(self, connection: Connection, milliseconds: float) -> list[tuple[str, CertificateInfo]]:
        tls, material = connection.tls, connection.material
        if tls is None or material is None:
            return []
        certificates = list(_roles([certificate_info(each) for each in connection.chain], material.trust))
        self._found = _with(
            self._found,
            handshake=Handshake(
                version=tls.version,
                cipher=tls.cipher,
                chain=tuple(Link.of(role, certificate) for role, certificate in certificates),
                identity=tls.certificate.sans if tls.certificate else (),
                offered=tls.local.subject if tls.local else "",
                milliseconds=milliseconds,
            ),
        )
        return [*certificates, *([("our certificate", tls.local)] if tls.local else [])]

    async def _info(self) -> None:
        channel = Channel(
            self._address,
            group=self._group.name,
            tls=self._tls,
            server_name=self._name,
            metrics=ClientMetrics(CollectorRegistry()),
            options=ChannelOptions(
                connect_timeout=self._timeout,
                handshake_timeout=self._timeout,
                max_message_size=MESSAGE_LIMIT,
                compression="snappy" if self._group.compression == "snappy" else "",
            ),
        )
        failure: tuple[str, str] | None = None
        begun = time.monotonic()
        async with anyio.create_task_group() as tasks:
            await tasks.start(channel.run)
            try:
                info = parse_info(await channel.unary(METHOD, b"", timeout=self._timeout))
            except ConnectFailure as error:
                failure = (error.reason, error.message)
            except CallError as error:
                # A connection that is made and then closed is how TLS 1.3 refuses a client.
                lost = error.kind is FailureKind.CONNECTION_LOST
                failure = ("connection_closed" if lost else error.code.name, error.message)
            except ValueError as error:
                failure = ("malformed", str(error))
            await channel.aclose(1.0)
            tasks.cancel_scope.cancel()
        if failure is not None:
            self._failed("info", *failure)
        self._found = _with(
            self._found,
            info=InfoResult(
                component=info.component,
                label_sets=tuple(dict(labels) for labels in info.label_sets),
                apis=tuple(sorted(info.apis)),
                milliseconds=_since(begun),
            ),
        )

    def _failed(self, step: str, reason: str, error: str) -> NoReturn:
        message = error.removeprefix(f"{self._address}: ")
        self._found = _with(
            self._found,
            failed_at=step,
            reason=reason,
            error=message,
            advice=advice(reason, self._group),
        )
        raise _Failed


def _with(found: Diagnosis, **more: Any) -> Diagnosis:
    return msgspec.structs.replace(found, **more)


def _since(begun: float) -> float:
    """Milliseconds."""
    return round((time.monotonic() - begun) * 1000, 1)


def _roles(
    chain: Sequence[CertificateInfo], trust: Sequence[CertificateInfo]
) -> Iterator[tuple[str, CertificateInfo]]:
    """What was shown, and the CA of ours that it leads to, shown or not."""
    ours = {each.fingerprint for each in trust}
    for position, certificate in enumerate(chain):
        if certificate.fingerprint in ours:
            yield "anchor", certificate
            return
        yield ("leaf" if position == 0 else "intermediate"), certificate
    anchor = next((each for each in trust if chain and each.subject == chain[-1].issuer), None)
    if anchor is not None:
        yield "anchor", anchor
