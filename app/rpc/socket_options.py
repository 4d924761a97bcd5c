"""TCP as gRPC wants it: no delay, and peers noticed whose hosts are gone."""

import fcntl
import socket
import termios


def set_client_options(sock: socket.socket) -> None:
    """For a connection to an endpoint: one whose host is gone is lost within 40 s."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    # Without HTTP/2 PINGs, of which a default grpc-go server allows one in five minutes before it says
    # too_many_pings.
    _probe(sock, idle=20, interval=5, count=4)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000)


def set_server_options(sock: socket.socket) -> None:
    """For a client's connection. Its silence is no fault, and neither is a client that reads slowly: the
    user timeout, which would cut one that stops for a while, stays off."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    _probe(sock, idle=60, interval=15, count=4)


def _probe(sock: socket.socket, *, idle: int, interval: int, count: int) -> None:
    """Times in seconds."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, count)


def unread(sock: socket.socket) -> bool:
    """Whether the kernel holds bytes of the peer that were not read yet."""
    try:
        found = fcntl.ioctl(sock.fileno(), termios.FIONREAD, b"\0\0\0\0")
    except (OSError, ValueError):
        return False
    return found != b"\0\0\0\0"
