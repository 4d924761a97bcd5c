"""The current material of one group and role, and how it is kept fresh (rules 1 to 4).

A handshake asks `fresh`. It compares stat signatures, which costs microseconds, and only when they differ a
worker thread reads, validates and builds; the handshake waits for that at most two seconds. Everything that
decides is in `decision`; this file does the reading, the swapping and the telling.
"""

import ssl
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, cast

import anyio
import anyio.to_thread
import msgspec
import structlog

from app.errors import MaterialError
from app.tls.certificates import certificate_info, describe, instant, pinned
from app.tls.contexts import build_context
from app.tls.decision import Action, DatedSet, Decision, decide, judge_again_at
from app.tls.files import read_set, signature
from app.tls.metrics import TlsMetrics
from app.tls.model import (
    CertificateInfo,
    Change,
    Material,
    ProviderStatus,
    Role,
    SetStatus,
    TlsFiles,
    TlsPolicy,
)
from app.tls.revocation import has_shrunk, judge_chain
from app.tls.validation import Fault, Identity, Trust, parse_identity, parse_trust

REBUILD_WAIT = 2.0
"""Seconds that a handshake waits for material that is being rebuilt, before it takes the last good."""

log = structlog.get_logger()


class _Rebuild(msgspec.Struct, frozen=True):
    """What a worker thread found and made. `context` is None when the one in force still holds."""

    signature: tuple[object, ...]
    identity: Decision[Identity] | None
    trust: Decision[Trust] | None
    context: ssl.SSLContext | None
    fallback: ssl.SSLContext | None
    valid_authorities: tuple[int, ...]
    again_at: float | None
    fault: Fault | None


class Provider:
    """Mutable: the material in force, changed only by `_apply` on the event loop.

    Made by the certificate cache. A plaintext group has none.

    :param spawn: starts a read in a task group that outlives the handshake which asked for it.
    """

    def __init__(
        self,
        group: str,
        role: Role,
        files: TlsFiles,
        policy: TlsPolicy,
        *,
        metrics: TlsMetrics,
        spawn: Callable[[Callable[[], Coroutine[Any, Any, None]]], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.group = group
        self.role = role
        self.files = files
        self.policy = policy
        self._metrics = metrics
        self._spawn = spawn
        self._clock = clock
        self._identity_paths = [files.cert_file, files.key_file] if files.cert_file else []
        self._trust_paths = [path for path in (files.ca_file, files.crl_file) if path]
        self._paths = [*self._identity_paths, *self._trust_paths]
        self._signature: tuple[object, ...] | None = None
        self._again_at: float | None = None
        self._identity: Identity | None = None
        self._previous_identity: Identity | None = None
        self._trust: Trust | None = None
        self._valid_authorities: tuple[int, ...] = ()
        self._material: Material | None = None
        self._fallback: Material | None = None
        self._fault: Fault | None = Fault("missing", "the files have not been read yet")
        self._identity_status = SetStatus(loaded_at=None)
        self._trust_status = SetStatus(loaded_at=None)
        self._subscribers: list[Callable[[Change], None]] = []
        self._rebuilding: anyio.Event | None = None

    @property
    def paths(self) -> Sequence[str]:
        """All files of both sets, as the operator wrote them."""
        return self._paths

    # -- asked by handshakes

    async def fresh(self) -> Material:
        """The material a handshake that begins now is to use.

        :raises MaterialError: nothing can be used: nothing good was ever read, or what was good has expired.
        """
        with anyio.move_on_after(REBUILD_WAIT):
            # A read that began before the last change does not have it, hence the loop.
            while self.changed():
                await self.refresh()
        material = self._usable()
        if self.role is Role.SERVER and self.policy.min_version == "1.2":
            # TLS 1.2 resumes by session id from the context's own cache, which Python cannot switch off:
            # a context that serves one connection has nothing to resume from.
            context = self._build(self._identity, self._trust)
            return msgspec.structs.replace(material, context=context)
        return material

    def changed(self) -> bool:
        """Whether a file differs from what was last read, or a date has come."""
        if self._signature is None or signature(self._paths) != self._signature:
            return True
        return self._again_at is not None and self._clock() >= self._again_at

    def current(self) -> Material | None:
        """What is in force, without looking at the disk; None while nothing can be used."""
        return None if self._fault is not None else self._material

    def fallback(self) -> Material | None:
        """The identity before the one in force, with the trust in force: for a peer that refuses the new
        one. None when there is none, or when it has expired."""
        if self._previous_identity is None or self._fault is not None:
            return None
        return None if self._previous_identity.fault_at(self._clock()) else self._fallback

    def judge(self, chain: Sequence[bytes]) -> str | None:
        """Why the trust in force does not accept a live peer, in words; None when it does.

        :param chain: what the peer showed, DER, leaf first.
        """
        if not self.policy.verify_peer:
            return None
        if self._trust is not None:
            reason = judge_chain(chain, self._trust, self._clock())
        else:
            reason = self._dates(chain)
        if reason is None and self.policy.peer_identities:
            leaf = certificate_info(chain[0])
            if not pinned(leaf, self.policy.peer_identities):
                return f"{describe(leaf)} carries none of the pinned identities"
        return reason

    def _dates(self, chain: Sequence[bytes]) -> str | None:
        # The system's roots verified the chain in the handshake and are not read again while we run.
        if not chain:
            return "it showed no certificate"
        leaf = certificate_info(chain[0])
        if not leaf.not_before <= self._clock() < leaf.not_after:
            return f"{describe(leaf)} is outside its dates"
        return None

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Have `callback` called on the event loop after each swap; call what is returned to end that."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    def status(self) -> ProviderStatus:
        """For the status page and the metrics."""
        return ProviderStatus(
            group=self.group,
            role=self.role,
            generation=self._material.generation if self._material else 0,
            identity=self._identity_status,
            trust=self._trust_status,
            leaf=self._identity.chain[0] if self._identity else None,
            authorities=self._authorities(),
            crl_next_update=self._trust.next_update if self._trust else None,
        )

    def _authorities(self) -> tuple[CertificateInfo, ...]:
        if self._trust is None:
            return ()
        return tuple(self._trust.authorities[position] for position in self._valid_authorities)

    def _usable(self) -> Material:
        if self._fault is not None:
            raise self._fault.error()
        if self._again_at is not None and self._clock() >= self._again_at:
            # The rebuild that the date asked for is not done: never hand out what the date has ended.
            for each in (self._identity, self._trust):
                if each is not None and (fault := each.fault_at(self._clock())) is not None:
                    raise fault.error()
        assert self._material is not None
        return self._material

    # -- reading and swapping

    async def refresh(self) -> None:
        """Read the files again, and swap, keep or refuse. Callers at the same time share one read."""
        await self._start_refresh().wait()

    def _start_refresh(self) -> anyio.Event:
        # In the cache's task group: a handshake that gives up waiting does not lose the work.
        if self._rebuilding is None:
            self._rebuilding = anyio.Event()
            self._spawn(self._refresh)
        return self._rebuilding

    async def _refresh(self) -> None:
        try:
            self._apply(await anyio.to_thread.run_sync(self._rebuild))
        finally:
            done, self._rebuilding = self._rebuilding, None
            if done is not None:
                done.set()

    def _rebuild(self) -> _Rebuild:
        """In a worker thread: read, decide, build. Touches nothing of the provider."""
        now = self._clock()
        seen = signature(self._paths)
        identity = trust = read_identity = read_trust = None
        if self._identity_paths:
            read_identity = self._read_identity()
            identity = decide(self._identity, read_identity, now)
        if self._trust_paths:
            read_trust = self._read_trust()
            trust = decide(self._trust, read_trust, now)
        new_identity = identity.in_force if identity else None
        new_trust = trust.in_force if trust else None
        fault = _first_fault(identity) or _first_fault(trust)
        valid = tuple(new_trust.valid_at(now)) if new_trust else ()
        context = fallback = None
        swapped = any(each and each.action is Action.SWAP for each in (identity, trust))
        if fault is None and (swapped or valid != self._valid_authorities or self._material is None):
            try:
                context = self._build(new_identity, new_trust)
                previous = self._identity if identity and identity.action is Action.SWAP else None
                previous = previous or self._previous_identity
                if previous is not None and previous.fault_at(now) is None and self.role is Role.CLIENT:
                    fallback = self._build(previous, new_trust)
            except (ssl.SSLError, OSError, ValueError) as error:
                fault = Fault("parse", f"OpenSSL refuses the material of {self.group}: {error}")
        judged: list[DatedSet | Fault | None] = [new_identity, new_trust, read_identity, read_trust]
        return _Rebuild(seen, identity, trust, context, fallback, valid, judge_again_at(judged, now), fault)

    def _read_identity(self) -> Identity | Fault:
        try:
            content = read_set(self._identity_paths)
            return parse_identity(self.files.cert_file, self.files.key_file, content)
        except MaterialError as error:
            return Fault(error.reason, str(error))

    def _read_trust(self) -> Trust | Fault:
        try:
            return parse_trust(self.files.ca_file, self.files.crl_file, read_set(self._trust_paths))
        except MaterialError as error:
            return Fault(error.reason, str(error))

    def _build(self, identity: Identity | None, trust: Trust | None) -> ssl.SSLContext:
        return build_context(self.role, self.policy, identity, trust, self._clock())

    def _apply(self, result: _Rebuild) -> None:
        now = self._clock()
        old, old_identity, old_trust = self._material, self._identity, self._trust
        self._signature = result.signature
        self._again_at = result.again_at
        self._identity_status = self._report("identity", result.identity, self._identity_status)
        self._trust_status = self._report("trust", result.trust, self._trust_status)
        self._fault = result.fault
        if result.context is not None:
            self._swap(result)
        self._metrics.show(self.status())
        if result.context is None or self._material is None:
            return
        change = Change(
            old=old,
            new=self._material,
            identity_changed=old is not None and old.identity_digest != self._material.identity_digest,
            trust_changed=old is not None and old.trust_digest != self._material.trust_digest,
            trust_shrunk=old is not None and has_shrunk(old_trust, self._trust, now),
        )
        self._log_swap(change, old_identity)
        for subscriber in list(self._subscribers):
            subscriber(change)

    def _swap(self, result: _Rebuild) -> None:
        assert result.context is not None
        if result.identity is not None:
            if result.identity.action is Action.SWAP and self._identity is not None:
                self._previous_identity = self._identity
            self._identity = result.identity.in_force
        if result.trust is not None:
            self._trust = result.trust.in_force
        self._valid_authorities = result.valid_authorities
        self._material = Material(
            generation=self._material.generation + 1 if self._material else 1,
            context=result.context,
            identity=self._identity.chain[0] if self._identity else None,
            trust=self._authorities(),
            identity_digest=self._identity.digest if self._identity else "",
            trust_digest=self._trust.digest if self._trust else "",
        )
        previous = self._previous_identity
        if result.fallback is not None and previous is not None:
            self._fallback = msgspec.structs.replace(
                self._material,
                context=result.fallback,
                identity=previous.chain[0],
                identity_digest=previous.digest,
            )

    # -- telling

    def _report(
        self, name: str, decision: Decision[Identity] | Decision[Trust] | None, before: SetStatus
    ) -> SetStatus:
        if decision is None:
            return before
        fault = decision.refused or decision.unusable
        if fault is None:
            if decision.action is Action.SWAP:
                self._count(name, "accepted", "")
                return SetStatus(loaded_at=self._clock())
            return SetStatus(loaded_at=before.loaded_at)
        if (fault.reason, fault.message) != (before.refused_reason, before.refused_message):
            self._count(name, "refused", fault.reason)
            serving = decision.in_force is not None and decision.unusable is None
            log.warning(
                "certificate material refused" if decision.refused else "certificate material has ended",
                group=self.group,
                role=str(self.role),
                set=name,
                reason=fault.reason,
                err=fault.message,
                last_good="serving" if serving else "none",
            )
        return SetStatus(
            loaded_at=before.loaded_at, refused_reason=fault.reason, refused_message=fault.message
        )

    def _count(self, name: str, result: str, reason: str) -> None:
        self._metrics.reloads.labels(self.group, str(self.role), name, result, reason).inc()

    def _log_swap(self, change: Change, old_identity: Identity | None) -> None:
        if change.old is None:
            event = "certificate material loaded"
        else:
            parts = [("identity", change.identity_changed), ("trust", change.trust_changed)]
            event = f"certificate material rotated: {' and '.join(n for n, is_ in parts if is_) or 'dates'}"
        fields: dict[str, object] = {"group": self.group, "role": str(self.role)}
        fields["generation"] = change.new.generation
        if change.new.identity is not None:
            fields["serial"] = change.new.identity.serial
            fields["not_after"] = instant(change.new.identity.not_after)
        if change.identity_changed and old_identity is not None:
            fields["old_serial"] = old_identity.chain[0].serial
            fields["old_not_after"] = instant(old_identity.chain[0].not_after)
        if change.new.trust:
            fields["cas"] = ",".join(each.subject for each in change.new.trust)
        if change.trust_changed and change.old is not None:
            fields["old_cas"] = ",".join(each.subject for each in change.old.trust)
        log.info(event, **fields)
        skipped = 0 if self._trust is None else len(self._trust.authorities) - len(self._valid_authorities)
        if skipped:
            log.warning("CAs outside their dates were left out", group=self.group, skipped=skipped)


def _first_fault(decision: Decision[Identity] | Decision[Trust] | None) -> Fault | None:
    """Why no handshake may use this set; None when one may."""
    if decision is None:
        return None
    if decision.in_force is None:
        return cast(Fault, decision.refused)
    return decision.unusable
