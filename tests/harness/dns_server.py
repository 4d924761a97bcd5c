"""A DNS server on loopback whose records the test decides."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import dns.flags
import dns.message
import dns.rcode
import dns.rrset


class DnsServer:
    """Mutable: its records and whether it answers, set by the test; what it was asked, read by the test.

    :ivar records: (name, type) -> values: ``("store.test", "A"): ["127.0.0.1"]``.
    :ivar rcode: other than NOERROR: the answer to everything.
    """

    def __init__(self) -> None:
        self.address = ""
        self.records: dict[tuple[str, str], list[str]] = {}
        self.rcode = dns.rcode.NOERROR
        self.asked: list[tuple[str, str]] = []

    def answer(self, query: bytes) -> bytes:
        request = dns.message.from_wire(query)
        response = dns.message.make_response(request)
        response.flags |= dns.flags.RA
        (question,) = request.question
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if self.rcode != dns.rcode.NOERROR:
            response.set_rcode(self.rcode)
        elif values := self.records.get((name, kind)):
            response.answer.append(dns.rrset.from_text(question.name, 1, "IN", kind, *values))
        elif not any(known == name for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()


@asynccontextmanager
async def dns_server() -> AsyncIterator[DnsServer]:
    """One that answers over UDP until the scope is left."""
    server = DnsServer()
    async with (
        await anyio.create_udp_socket(local_host="127.0.0.1") as sock,
        anyio.create_task_group() as tasks,
    ):
        server.address = f"127.0.0.1:{sock.extra(anyio.abc.SocketAttribute.local_port)}"

        async def serve() -> None:
            async for packet, sender in sock:
                await sock.sendto(server.answer(packet), *sender)

        tasks.start_soon(serve)
        yield server
        tasks.cancel_scope.cancel()
