"""A client process that asks for URLs, reads the answers to their end unseen, and tells times.

For each line on stdin, a JSON object as `Job`, it prints one as `Report`.
"""

import selectors
import socket
import sys
import time

import msgspec

_BUFFER = 1 << 20
_TAIL = 512
_LAST = b"\r\n0\r\n\r\n"
"""How an answer in chunks ends; JSON has no line breaks inside."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """
    :param address: ``host:port``.
    :param paths: asked for one after the other, round and round.
    :param count: answers in all.
    :param clients: connections; each asks again when it has its answer.
    """

    address: str
    paths: list[str]
    count: int = 1
    clients: int = 1


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """
    :param seconds: of each answer, from the request to the last byte.
    :param total: seconds until the last answer.
    :param size: bytes that the last answer had on the wire.
    :param tail: the end of that one.
    :param error: what went wrong; the times mean nothing then.
    """

    seconds: list[float]
    total: float
    size: int
    tail: str
    error: str = ""


class _Failed(Exception):
    """An answer that is none."""


class _Answer:
    """Mutable: how much of an answer was read."""

    def __init__(self) -> None:
        self.size = 0
        self.tail = b""
        self._head = b""
        self._length: int | None = None

    def feed(self, data: memoryview) -> bool:
        """Whether this was the last of it."""
        self.size += len(data)
        self.tail = (self.tail + bytes(data[-_TAIL:]))[-_TAIL:]
        if self._length is None:
            self._head += bytes(data[:65_536])
            head, separator, _ = self._head.partition(b"\r\n\r\n")
            if not separator:
                return False
            self._length = self._announced(head) + len(head) + 4
        if self._length >= 0:
            return self.size >= self._length
        return self.tail.endswith(_LAST)

    def _announced(self, head: bytes) -> int:
        """Bytes of the body; far below zero where it comes in chunks."""
        if not head.startswith(b"HTTP/1.1 200"):
            raise _Failed(self._head[:1000].decode(errors="replace"))
        for line in head.lower().split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name == b"content-length":
                return int(value)
        return -(1 << 62)


class _Client:
    """Mutable: one connection and what it waits for."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.connection = socket.create_connection(address, timeout=300)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer = _Answer()
        self.begun = 0.0

    def ask(self, request: bytes) -> None:
        self.answer = _Answer()
        self.begun = time.perf_counter()
        self.connection.sendall(request)


def _work(job: Job) -> Report:
    host, _, port = job.address.rpartition(":")
    requests = [f"GET {path} HTTP/1.1\r\nHost: {job.address}\r\n\r\n".encode() for path in job.paths]
    clients = [_Client((host, int(port))) for _ in range(min(job.clients, job.count))]
    buffer = memoryview(bytearray(_BUFFER))
    seconds: list[float] = []
    last = clients[0].answer
    with selectors.DefaultSelector() as waiting:
        begun = time.perf_counter()
        asked = 0
        for client in clients:
            waiting.register(client.connection, selectors.EVENT_READ, client)
            client.ask(requests[asked % len(requests)])
            asked += 1
        while len(seconds) < job.count:
            for key, _ in waiting.select():
                client = key.data
                read = client.connection.recv_into(buffer)
                if not read:
                    raise _Failed("the server hung up")
                if client.answer.feed(buffer[:read]):
                    seconds.append(time.perf_counter() - client.begun)
                    last = client.answer
                    if asked < job.count:
                        client.ask(requests[asked % len(requests)])
                        asked += 1
        total = time.perf_counter() - begun
    for client in clients:
        client.connection.close()
    return Report(seconds=seconds, total=total, size=last.size, tail=last.tail.decode(errors="replace"))


def main() -> None:
    for line in sys.stdin:
        try:
            report = _work(msgspec.json.decode(line, type=Job))
        except (OSError, _Failed) as error:
            report = Report(seconds=[], total=0.0, size=0, tail="", error=str(error) or repr(error))
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
