"""What the HTTP and gRPC fronts ask of the engine, and what they get."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from app.engine.model import Annotations, Value
from app.engine.select.model import SelectOptions
from app.rpc.model import Metadata


class QueryRequest(msgspec.Struct, frozen=True):
    """One query of a client.

    :param start: milliseconds since the epoch; an instant query has `end` equal to it, and `step` 0.
    :param step: milliseconds.
    :param timeout: seconds, already cut to `--query.timeout`.
    :param lookback: milliseconds; None: the flag's.
    :param select: how series are fetched and merged.
    :param metadata: forwarded to the endpoints: the tenant.
    :param enforced: matchers that every selector gets in the place of its own on those labels: tenancy.
    :param within: matchers that every selector gets beside its own: what the caller's identity may see.
    :param stats: what it cost is wanted, and with `every_step` the samples of each step.
    :param count: samples are counted for it, which takes reading them once more.
    :param analyze: what each of its nodes cost is wanted.
    :param queued: seconds that it has waited for its turn.
    """

    text: str
    start: int
    end: int
    step: int
    timeout: float
    select: SelectOptions
    lookback: int | None = None
    metadata: Metadata = {}
    enforced: tuple[tuple[str, str, str], ...] = ()
    within: tuple[tuple[str, str, str], ...] = ()
    stats: bool = False
    every_step: bool = False
    count: bool = False
    analyze: bool = False
    queued: float = 0.0


class Columnar(ABC):
    """A result that stays in columns until somebody says in which form it is wanted.

    :ivar kind: ``vector`` or ``matrix``.
    :ivar many: whether making anything of it takes so long that it is to be done in a thread.
    """

    kind: str
    many: bool

    @abstractmethod
    def value(self) -> Value:
        """As objects."""

    @abstractmethod
    def json(self) -> Iterator[bytes]:
        """The `result` of the HTTP API, in blocks; to be called in a thread."""


class Answer(msgspec.Struct, frozen=True):
    """
    :param warnings: of the endpoints: what is missing. The annotations are PromQL's own.
    :param stats: as Prometheus names them; `analysis` as Thanos does.
    """

    found: Value | Columnar
    annotations: Annotations
    warnings: Sequence[str] = ()
    stats: Mapping[str, Any] | None = None
    analysis: Mapping[str, Any] | None = None

    @property
    def value(self) -> Value:
        """As objects, which takes long for many points."""
        return self.found.value() if isinstance(self.found, Columnar) else self.found


class QueryTimeout(Exception):
    """`timeout` of the API."""


class QueryCanceled(Exception):
    """`canceled` of the API."""


class Engine(Protocol):
    """Evaluates queries over the endpoints."""

    async def query(self, request: QueryRequest) -> Answer:
        """
        :raises ParseError: the text is not PromQL.
        :raises EvaluationError: it cannot be answered.
        :raises QueryTimeout: it took longer than `timeout`.
        :raises CallError: an endpoint failed, and partial answers are not wanted.
        """
        ...

    def explain(self, request: QueryRequest) -> Mapping[str, Any]:
        """A tree of ``name`` and ``children``: which path each node takes, and why."""
        ...
