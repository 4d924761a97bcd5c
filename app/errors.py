"""Every error that an operator or a client can cause. Each says what is wrong, where, and what to do."""

from collections.abc import Sequence
from enum import IntEnum, StrEnum

import msgspec


class CrossrealmError(Exception):
    """Base of all errors that are reported without a traceback."""


class Problem(msgspec.Struct, frozen=True):
    """One fault in what the operator wrote.

    :param where: file, line, item and key, or the flag:
        ``endpoints.yaml:9: item 2 (us): tls_config.key_file``.
    :param what: what is wrong with it.
    :param remedy: what to write instead; empty where `what` already says so.
    """

    where: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        tail = f" ({self.remedy})" if self.remedy else ""
        return f"{self.where}: {self.what}{tail}"


class ConfigError(CrossrealmError):
    """Faults in flags and files, all of them at once. The command exits with code 2.

    :param problems: at least one.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class MaterialError(CrossrealmError):
    """Certificates, keys, CA bundles or CRLs that cannot be used.

    :param reason: a short slug for metrics: ``missing``, ``unreadable``, ``empty``, ``torn``, ``parse``,
        ``encrypted_key``, ``openssl`` (OpenSSL refuses what parses, for example a short key),
        ``key_mismatch``, ``chain_order``, ``expired``, ``not_yet_valid``, ``no_valid_ca``,
        ``crl_missing``, ``crl_stale``, ``crl_signature``.
    :param message: a sentence that names the file.
    """

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class Code(IntEnum):
    """gRPC status codes, as the specification numbers them."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16

    @property
    def go_name(self) -> str:
        """As gRPC for Go writes it, and metrics with it: ``DeadlineExceeded``."""
        if self is Code.OK:
            return "OK"
        if self is Code.CANCELLED:
            return "Canceled"
        return "".join(word.capitalize() for word in self.name.split("_"))


class FailureKind(StrEnum):
    """Where a call failed. A metric label, so it stays a closed set."""

    STATUS = "status"  # the peer answered with a status other than OK
    RESOLVE = "resolve"
    CONNECT = "connect"
    HANDSHAKE = "handshake"
    MATERIAL = "material"  # our own certificates or CAs cannot be used
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"  # the peer broke HTTP/2 or gRPC
    CONNECTION_LOST = "connection_lost"
    CLOSED = "closed"  # the channel or the listener was closed by us


class CallError(CrossrealmError):
    """A call that did not end with OK: what a handler raises and what a channel raises.

    :param code: gRPC status code.
    :param message: for people; names the endpoint where a channel raises it, never key material.
    :param kind: where it failed.
    """

    def __init__(self, code: Code, message: str, kind: FailureKind = FailureKind.STATUS) -> None:
        self.code = code
        self.message = message
        self.kind = kind
        super().__init__(message)

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


def leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """What was raised, out of the task groups that wrap it."""
    found: list[BaseException] = []
    for error in group.exceptions:
        found.extend(leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found
