"""Basic authentication against bcrypt hashes, as exporter-toolkit has it."""

import base64
import binascii
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping

import anyio
import anyio.to_thread
import bcrypt
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

CACHED = 100
"""Passwords that were right, remembered by a keyed digest: bcrypt takes tens of milliseconds."""
# A hash of nothing that anybody knows: an unknown user takes as long as a wrong password.
_NOBODY = b"$2b$10$CwTycUXWue0Thq9StjUM0uJ8.UoY0sZ4p6WmF3m5R7Tn2F5QxHc1e"


class BasicAuth:
    """Mutable: the cache of digests, filled by `_right`.

    :param users: name to bcrypt hash, as of now; empty: everybody is let in.
    """

    def __init__(self, app: ASGIApp, users: Callable[[], Mapping[str, str]]) -> None:
        self._app = app
        self._users = users
        self._salt = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._checks = anyio.Semaphore(2)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        users = self._users()
        if (
            scope["type"] != "http"
            or not users
            or await self._right(users, Headers(scope=scope).get("authorization", ""))
        ):
            await self._app(scope, receive, send)
            return
        refusal = PlainTextResponse("Unauthorized", 401, headers={"www-authenticate": "Basic"})
        await refusal(scope, receive, send)

    async def _right(self, users: Mapping[str, str], header: str) -> bool:
        kind, _, encoded = header.partition(" ")
        if kind.lower() != "basic":
            return False
        try:
            name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        hashed = users.get(name)
        digest = hashlib.blake2b(
            f"{name}\0{hashed}\0{password}".encode(), key=self._salt, digest_size=32
        ).digest()
        if digest in self._known:
            return True
        async with self._checks:
            right = await anyio.to_thread.run_sync(_matches, password, hashed)
        if right:
            self._known[digest] = None
            if len(self._known) > CACHED:
                self._known.popitem(last=False)
        return right


def _matches(password: str, hashed: str | None) -> bool:
    try:
        same = bcrypt.checkpw(password.encode()[:72], hashed.encode() if hashed else _NOBODY)
    except ValueError:
        return False
    return same and hashed is not None
