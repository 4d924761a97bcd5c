"""Clients that go away: told by the connection itself, since a task that waits for it is dear."""

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from starlette.types import Scope

_EXTENSION = "crossrealm.departure"


class Departure:
    """Mutable: whether a client has gone, set once by its connection, and who wants to know."""

    def __init__(self) -> None:
        self.happened = False
        self._watchers: list[Callable[[], None]] = []

    def happen(self) -> None:
        """The client has gone."""
        self.happened = True
        for tell in list(self._watchers):
            tell()

    def offer(self, scope: MutableMapping[str, Any]) -> None:
        """As an extension of ASGI, to whoever answers a request."""
        scope.setdefault("extensions", {})[_EXTENSION] = self

    @contextmanager
    def told(self, tell: Callable[[], None]) -> Iterator[None]:
        """Within the context `tell` is called when the client goes, at once where it has gone already."""
        self._watchers.append(tell)
        try:
            if self.happened:
                tell()
            yield
        finally:
            self._watchers.remove(tell)


def departure(scope: Scope) -> Departure:
    """Of the client that sent a request; one that never happens where the server does not tell."""
    found = scope.get("extensions", {}).get(_EXTENSION)
    return found if isinstance(found, Departure) else Departure()
