"""Which HTTP proxy an endpoint is reached through, by the environment, as gRPC for Go decides it. Pure.

Source: Go's golang.org/x/net/http/httpproxy, whose rules gRPC for Go follows: HTTPS_PROXY, NO_PROXY with
hosts, domains, addresses, networks, ports and ``*``; what is on this machine is reached without one.
"""

import base64
import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import msgspec

from app.config.addresses import joined

DEFAULT_PORT = 80
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})([^\r\n]*)")


class Proxy(msgspec.Struct, frozen=True):
    """
    :param credentials: ``user:password``; "" is none.
    """

    host: str
    port: int
    credentials: str = ""

    def __str__(self) -> str:
        return joined(self.host, self.port)  # never the password


def proxy_for(host: str, port: int, environment: Mapping[str, str]) -> Proxy | None:
    """The proxy for an endpoint; None: it is reached directly.

    :raises ValueError: HTTPS_PROXY is no URL of a proxy.
    """
    text = environment.get("HTTPS_PROXY") or environment.get("https_proxy") or ""
    if not text or not _wanted(host.lower().removesuffix("."), port, environment):
        return None
    url = urlsplit(text if "://" in text else f"http://{text}")
    try:
        proxy_port = url.port or DEFAULT_PORT
    except ValueError:
        proxy_port = 0
    if url.scheme != "http" or not url.hostname or not proxy_port:
        raise ValueError("it is not the URL of an HTTP proxy (write http://host:port)")
    credentials = ""
    if url.username is not None:
        credentials = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return Proxy(url.hostname, proxy_port, credentials)


def _wanted(host: str, port: int, environment: Mapping[str, str]) -> bool:
    address = _ip(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return False
    excluded = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    return not any(_excludes(each.strip().lower(), host, port) for each in excluded.split(","))


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def _excludes(rule: str, host: str, port: int) -> bool:
    """Whether one item of NO_PROXY covers the endpoint."""
    if not rule:
        return False
    if rule == "*":
        return True
    address = _ip(host)
    if "/" in rule:
        try:
            network = ipaddress.ip_network(rule, strict=False)
        except ValueError:
            return False
        return address is not None and address in network
    name, only_port = _split(rule)
    if only_port and only_port != str(port):
        return False
    ruled = _ip(name)
    if ruled is not None or address is not None:
        return ruled == address
    name = name.removesuffix(".")
    if name.startswith("*."):
        name = name[1:]
    if name.startswith("."):
        return host.endswith(name)
    return host == name or host.endswith(f".{name}")


def _split(rule: str) -> tuple[str, str]:
    """Host and port of an item; a v6 address with a port has brackets."""
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]*):(\d+)", rule)
    return (match[1], match[2]) if match else (rule, "")


def connect_request(proxy: Proxy, host: str, port: int) -> bytes:
    """What the proxy is sent."""
    target = joined(host, port)
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", "User-Agent: crossrealm"]
    if proxy.credentials:
        encoded = base64.b64encode(proxy.credentials.encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {encoded}")
    return "\r\n".join([*lines, "", ""]).encode()


def refused_by(answer: bytes) -> str:
    """Why the proxy does not connect, by its whole answer; "" when it does."""
    match = _STATUS.match(answer)
    if match is None or not answer.endswith(b"\r\n\r\n"):
        return "it is no HTTP proxy, or closed the connection"
    if match[1] == b"200":
        return ""
    status = (match[1] + match[2]).decode(errors="replace").strip()
    hint = " (HTTPS_PROXY needs user and password)" if match[1] == b"407" else ""
    return f"it answers {status}{hint}"
