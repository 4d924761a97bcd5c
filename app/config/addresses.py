"""Addresses as flags and files write them: ``host:port``, ``[v6]:port``, and names to look up in DNS."""

import ipaddress
import re
from enum import StrEnum

import msgspec

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_DNS_PREFIX = re.compile(r"(dns(?:srv|srvnoa|dualstack)?)\+")


class DnsKind(StrEnum):
    """How a name is looked up, as Thanos's prefixes say."""

    ADDRESSES = "dns"  # A and AAAA
    DUAL_STACK = "dnsdualstack"  # the same, and one of both families is enough
    SERVICE = "dnssrv"  # SRV, and the addresses of its targets
    SERVICE_NAMES = "dnssrvnoa"  # SRV, whose targets are connected to by name


class DnsAddress(msgspec.Struct, frozen=True):
    """A name to look up: ``dns+sidecar.eu:10901``, ``dnssrv+_grpc._tcp.sidecar.eu``.

    :param port: None: the SRV record's.
    """

    kind: DnsKind
    host: str
    port: int | None


def parse_dns_address(text: str) -> DnsAddress | None:
    """The name in an address; None where it has no prefix of DNS discovery.

    :raises ValueError: with what is wrong and what to write.
    """
    match = _DNS_PREFIX.match(text)
    if match is None:
        return None
    kind, name = DnsKind(match[1]), text[match.end() :]
    is_service = kind in (DnsKind.SERVICE, DnsKind.SERVICE_NAMES)
    if is_service and ":" not in name:
        if not _is_name(name) or not name:
            raise ValueError(f"{text!r}: {name!r} is not a name; write for example dnssrv+_grpc._tcp.example")
        return DnsAddress(kind, name, None)
    host, port = split_address(name)
    if _is_ip(host):
        raise ValueError(f"{text!r}: there is nothing to look up; write {name}")
    return DnsAddress(kind, host, port)


def check_address(text: str) -> None:
    """Whether `text` is an address or a name to look up.

    :raises ValueError: with what is wrong and what to write.
    """
    if parse_dns_address(text) is None:
        split_address(text)


def joined(host: str, port: int) -> str:
    """``host:port``, a v6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_address(text: str, *, listening: bool = False) -> tuple[str, int]:
    """Host and port of an address. The host of a v6 address comes without its brackets.

    :param listening: an empty host (all interfaces) and port 0 (any free one) are allowed.
    :raises ValueError: with what is wrong and what to write.
    """
    if "://" in text:
        raise ValueError(f"{text!r} has a scheme; write host:port")
    if _DNS_PREFIX.match(text):
        raise ValueError(f"{text!r} is a name to look up, which cannot be here; write host:port")
    if text != text.strip() or any(character.isspace() for character in text):
        raise ValueError(f"{text!r} has white space in it")
    host, colon, port_text = text.rpartition(":")
    if not colon:
        raise ValueError(f"{text!r} has no port; write host:port")
    if not re.fullmatch(r"[0-9]{1,5}", port_text) or int(port_text) > 65535:
        raise ValueError(f"{text!r}: {port_text!r} is not a port")
    port = int(port_text)
    if port == 0 and not listening:
        raise ValueError(f"{text!r}: nothing can be reached at port 0")
    if host.startswith("[") and host.endswith("]"):
        return _v6(text, host[1:-1]), port
    if ":" in host:
        raise ValueError(f"{text!r}: write a v6 address in brackets, [{host}]:{port}")
    if host == "":
        if not listening:
            raise ValueError(f"{text!r} has no host; write host:port")
    elif not _is_name(host):
        raise ValueError(f"{text!r}: {host!r} is neither a name nor an address")
    return host, port


def same_endpoint(address: str) -> tuple[str, int]:
    """A key that is equal for two spellings of one valid address: case, v6 forms, a root dot, zeros."""
    name = parse_dns_address(address)
    if name is not None:
        return f"{name.kind}+{name.host.lower().removesuffix('.')}", name.port or 0
    host, port = split_address(address)
    if ":" in host:
        host = ipaddress.IPv6Address(host).compressed
    return host.lower().removesuffix("."), port


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _v6(text: str, host: str) -> str:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        raise ValueError(f"{text!r}: {host!r} is not a v6 address") from None
    return host


def _is_name(host: str) -> bool:
    if host.replace(".", "").isdigit():
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            return False
        return True
    return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in host.removesuffix(".").split("."))
