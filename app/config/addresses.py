"""Addresses as flags and files write them: ``host:port``, ``[v6]:port``."""

import ipaddress
import re

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_DNS_PREFIX = re.compile(r"dns(?:srv|srvnoa|dualstack)?\+")


def split_address(text: str, *, listening: bool = False) -> tuple[str, int]:
    """Host and port of an address. The host of a v6 address comes without its brackets.

    :param listening: an empty host (all interfaces) and port 0 (any free one) are allowed.
    :raises ValueError: with what is wrong and what to write.
    """
    if "://" in text:
        raise ValueError(f"{text!r} has a scheme; write host:port")
    if _DNS_PREFIX.match(text):
        raise ValueError(f"{text!r}: DNS discovery is not built yet; write host:port")
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
    host, port = split_address(address)
    if ":" in host:
        host = ipaddress.IPv6Address(host).compressed
    return host.lower().removesuffix("."), port


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
