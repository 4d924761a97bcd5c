"""The current material of one group and role, and how it is kept fresh (rules 1 to 4).

A handshake asks `fresh`. It compares stat signatures, which costs microseconds, and only when they differ a
worker thread reads, validates and builds; the handshake waits for that at most two seconds. What is decided
is in `decision`, how a look goes in `rebuild`; this file puts the outcome in force and tells who must know.
"""

import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import structlog

from app.errors import ConfigError, Problem
from app.tls.announcing import Announcer
from app.tls.certificates import certificate_info, describe, pinned
from app.tls.files import Signature, signature
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
from app.tls.rebuild import Held, Outcome, Reading, Spec, read, read_aside, rebuild, trust_on_disk
from app.tls.revocation import judge_chain
from app.tls.suites import policy_problems
from app.tls.validation import Fault, Trust

REBUILD_WAIT = 2.0
"""Seconds that a handshake waits for material that is being rebuilt, before it takes the last good."""

UNSETTLED_LOOKS = 2
"""Reads that a handshake asks for when files were written just before the last one: the first may have begun
before the handshake did, the second has not."""

log = structlog.get_logger()


class Provider:
    """Mutable: the material in force, changed only by `_apply` on the event loop.

    Made by the certificate cache. A plaintext group has none.

    :param spawn: starts a read in a task group that outlives the handshake which asked for it.
    :param threads: bounds the worker threads of all providers, apart from everybody else's.
    :raises ConfigError: `policy` asks for what this OpenSSL or Python's ssl cannot do.
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
        threads: anyio.CapacityLimiter | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        problems = [Problem(f"TLS of {group}", each) for each in policy_problems(policy)]
        if role is Role.SERVER and policy.verify_peer and not files.ca_file:
            problems.append(
                Problem(f"TLS of {group}", "client certificates are verified, but no client CA is set")
            )
        if problems:
            raise ConfigError(problems)
        self.group = group
        self.shown = True
        self.role = role
        self.files = files
        self.policy = policy
        self._spec = Spec(role=role, files=files, policy=policy)
        self._paths = self._spec.paths
        self._metrics = metrics
        self._announcer = Announcer(group, role, metrics)
        self._spawn = spawn
        self._threads = threads
        self._clock = clock
        self._signature: Signature | None = None
        self._settled = True
        self._again_at: float | None = None
        self._held = Held()
        self._material: Material | None = None
        self._fallbacks: tuple[Material, ...] = ()
        self._fault: Fault | None = Fault("missing", "the files have not been read yet")
        self._identity_status = SetStatus(loaded_at=None)
        self._trust_status = SetStatus(loaded_at=None)
        self._subscribers: list[Callable[[Change], None]] = []
        self._looking: anyio.Event | None = None

    @property
    def paths(self) -> Sequence[str]:
        """All files of both sets, as the operator wrote them."""
        return self._paths

    # -- asked by handshakes

    async def fresh(self) -> Material:
        """The material a handshake that begins now is to use.

        :raises MaterialError: nothing can be used: nothing good was ever read, or what was good has expired.
        """
        if self.changed() or not self._settled:
            with anyio.move_on_after(REBUILD_WAIT):
                await self._catch_up()
        return self._usable()

    async def _catch_up(self) -> None:
        looks = 0
        # A read that began before the last change does not have it, hence the loop.
        while self.changed() or (not self._settled and looks < UNSETTLED_LOOKS):
            await self._start_look(self._look).wait()
            looks += 1

    def changed(self) -> bool:
        """Whether a file differs from what was last read, or a date has come."""
        if self._signature is None or signature(self._paths) != self._signature:
            return True
        return self._again_at is not None and self._clock() >= self._again_at

    @property
    def settled(self) -> bool:
        """False: the files were written so shortly before they were read that they are to be read again."""
        return self._settled

    def current(self) -> Material | None:
        """What is in force, without looking at the disk; None while nothing can be used."""
        return None if self._fault_now() is not None else self._material

    def fallback(self, accepted: str = "") -> Material | None:
        """An identity from before the one in force, with the trust in force: for a peer that refuses the new
        one. None when there is none that is still valid.

        :param accepted: the digest of the identity that the peer is known to accept; otherwise, and where
            that one is not kept any more, the latest.
        """
        if self._fault_now() is not None:
            return None
        now = self._clock()
        kept = [
            material
            for identity, material in zip(self._held.previous, self._fallbacks, strict=False)
            if identity.fault_at(now) is None
        ]
        known = [each for each in kept if each.identity_digest == accepted]
        return next(iter([*known, *kept]), None)

    def judge(self, chain: Sequence[bytes]) -> str | None:
        """Why the trust in force does not accept a live peer, in words; None when it does.

        :param chain: what the peer showed, DER, leaf first.
        """
        return self._judge(chain, self._held.trust) if self.policy.verify_peer else None

    def _judge(self, chain: Sequence[bytes], trust: Trust | None) -> str | None:
        if trust is not None:
            reason = judge_chain(chain, trust, self._clock())
        elif self.files.ca_file:
            reason = (
                f"{self.files.ca_file} was never good: {self._trust_status.refused_message or 'not read yet'}"
            )
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

    def admit(self, material: Material, chain: Sequence[bytes]) -> str | None:
        """Why a handshake that is just over does not let the peer in, in words; None when it does. Asked
        before the first request: a client can hold back its ClientHello while its CA is removed.

        Reads trust from disk, blocking, in the rare case that it changed during the handshake.

        :param material: what the handshake used.
        :param chain: what the peer showed, DER, leaf first.
        """
        if not self.policy.verify_peer:
            return None
        trust = self._held.trust
        if trust is not None and signature(self._paths) != self._signature:
            trust = trust_on_disk(self._spec, self._held, self._clock())
        in_force = trust.digest if trust else ""
        known = self._fault_now() is None and in_force == material.trust_digest
        if known and not self.policy.peer_identities:
            return None
        return self._judge(chain, trust)

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Have `callback` called on the event loop after each swap, and when trust shrinks because a date has
        come; call what is returned to end that."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    def status(self) -> ProviderStatus:
        """For the status page and the metrics."""
        held = self._held
        return ProviderStatus(
            group=self.group,
            role=self.role,
            generation=self._material.generation if self._material else 0,
            identity=self._identity_status,
            trust=self._trust_status,
            leaf=held.identity.chain[0] if held.identity else None,
            authorities=self._authorities(),
            crl_next_update=held.trust.next_update if held.trust else None,
        )

    def show(self) -> None:
        """Bring the metrics up to date, if they are this provider's: another one may have taken its place."""
        if self.shown:
            self._metrics.show(self.status())

    def rename(self, group: str) -> None:
        """For `CertificateCache.rename`."""
        self.group = group
        self._announcer = Announcer(group, self.role, self._metrics)

    def _authorities(self) -> tuple[CertificateInfo, ...]:
        trust = self._held.trust
        return tuple(trust.authorities[position] for position in self._held.valid) if trust else ()

    def _fault_now(self) -> Fault | None:
        if self._fault is not None or self._again_at is None or (now := self._clock()) < self._again_at:
            return self._fault
        # The look that the date asked for is not done: never hand out what the date has ended.
        for each in (self._held.identity, self._held.trust):
            if each is not None and (fault := each.unusable_at(now)) is not None:
                return fault
        return None

    def _usable(self) -> Material:
        fault = self._fault_now()
        if fault is not None:
            raise fault.error()
        assert self._material is not None
        return self._material

    # -- reading and swapping

    async def refresh(self) -> None:
        """Read the files again, and swap, keep or refuse. For looks that no handshake waits for."""
        await self._start_look(self._look_aside).wait()

    def _start_look(self, look: Callable[[], Coroutine[Any, Any, None]]) -> anyio.Event:
        # In the cache's task group: a handshake that gives up waiting does not lose the work, and all who
        # ask at the same time share it.
        if self._looking is None:
            self._looking = anyio.Event()
            try:
                self._spawn(look)
            except BaseException:
                self._looking = None
                raise
        return self._looking

    async def _look(self) -> None:
        await self._look_with(None)

    async def _look_aside(self) -> None:
        await self._look_with(read_aside)

    async def _look_with(self, reader: Callable[[Spec], Coroutine[Any, Any, Reading]] | None) -> None:
        try:
            reading = None if reader is None else await reader(self._spec)
            self._apply(await anyio.to_thread.run_sync(self._rebuild, reading, limiter=self._threads))
        except Exception:
            # One provider's surprise must not end the watcher of all.
            log.exception("looking at certificate files failed", group=self.group, role=str(self.role))
            self._again_at = self._clock() + REBUILD_WAIT
            self._signature = signature(self._paths)  # or else every handshake would try at once
        finally:
            done, self._looking = self._looking, None
            if done is not None:
                done.set()

    def _rebuild(self, reading: Reading | None) -> Outcome:
        """In a worker thread; changes nothing."""
        reading = read(self._spec) if reading is None else reading
        return rebuild(self._spec, self._held, reading, self._clock(), first=self._material is None)

    def _apply(self, outcome: Outcome) -> None:
        now = self._clock()
        old, after = self._material, outcome.held
        self._signature, self._settled = outcome.reading.signature, outcome.reading.settled
        self._again_at, self._fault, self._held = outcome.again_at, outcome.fault, after
        decided = self._announcer.decided
        self._identity_status = decided("identity", outcome.identity, self._identity_status, now)
        self._trust_status = decided("trust", outcome.trust, self._trust_status, now)
        if outcome.context is not None:
            self._swap(outcome)
        self.show()
        new = self._material
        shrunk = old is not None and outcome.shrunk
        if new is None or (outcome.context is None and not shrunk):
            return
        change = Change(
            old=old,
            new=new,
            identity_changed=old is not None and old.identity_digest != new.identity_digest,
            trust_changed=old is not None and old.trust_digest != new.trust_digest,
            trust_shrunk=shrunk,
        )
        if outcome.context is not None:
            skipped = len(after.trust.authorities) - len(after.valid) if after.trust else 0
            self._announcer.swapped(change, skipped, after.trust.next_update if after.trust else None)
        self._tell(change)

    def _swap(self, outcome: Outcome) -> None:
        assert outcome.context is not None
        held = outcome.held
        material = Material(
            generation=self._material.generation + 1 if self._material else 1,
            context=outcome.context,
            identity=held.identity.chain[0] if held.identity else None,
            trust=self._authorities(),
            identity_digest=held.identity.digest if held.identity else "",
            trust_digest=held.trust.digest if held.trust else "",
        )
        self._material = material
        self._fallbacks = tuple(
            msgspec.structs.replace(
                material, context=context, identity=identity.chain[0], identity_digest=identity.digest
            )
            for identity, context in zip(held.previous, outcome.fallbacks, strict=True)
        )

    def _tell(self, change: Change) -> None:
        for subscriber in list(self._subscribers):
            try:
                subscriber(change)
            except Exception:
                log.exception("a subscriber of certificate changes failed", group=self.group)
