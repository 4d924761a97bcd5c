"""Which client may see what: the one place where an identity becomes matchers."""

from collections.abc import Iterable

from app.config.model import IdentityMatchers
from app.errors import CallError, Code
from app.fanout.scope import EVERYTHING, Scope, scope_of
from app.rpc.model import Peer
from app.tls.certificates import pinned


class Scopes:
    """Immutable: what each identity may see.

    :param given: each identity once; clients with none of them may see everything.
    """

    def __init__(self, given: Iterable[IdentityMatchers] = ()) -> None:
        self._given = tuple(given)

    def of(self, peer: Peer) -> Scope:
        """What a client may see. Of one with several identities all matchers have to match.

        :raises CallError: PERMISSION_DENIED, identities matter and it has shown no certificate.
        """
        if not self._given:
            return EVERYTHING
        certificate = peer.tls.certificate if peer.tls is not None else None
        if certificate is None:
            raise CallError(Code.PERMISSION_DENIED, "what may be seen depends on a client certificate")
        texts = [
            text for each in self._given if pinned(certificate, (each.identity,)) for text in each.matchers
        ]
        return scope_of(texts) if texts else EVERYTHING


NO_SCOPES = Scopes()
"""Everybody may see everything."""
