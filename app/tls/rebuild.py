"""One look at the files of a provider: read, decide, build. Runs in a worker thread and changes nothing; the
provider puts the outcome in force on the event loop.
"""

import ssl
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from app.errors import MaterialError
from app.tls.contexts import build_context, prove_identity, prove_trust
from app.tls.decision import Action, DatedSet, Decision, decide, judge_again_at
from app.tls.files import SetContent, Signature, read_set, read_set_aside, signature
from app.tls.model import Role, TlsFiles, TlsPolicy
from app.tls.revocation import has_shrunk
from app.tls.validation import Fault, Identity, Trust, parse_identity, parse_trust

UNSETTLED = 0.02
"""Seconds. The kernel stamps files with a clock that ticks every 1 to 10 ms: a file written again within one
tick has the same signature, so a look this soon after a change is not the last word."""

PREVIOUS_IDENTITIES = 3
"""Identities kept to fall back on: a new one may be refused by the peers, and the one after it as well."""

RETRY = 5.0
"""Seconds until a context is tried again that could not be made although its material is good."""

S = TypeVar("S", bound=DatedSet)


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider provides, and from which files."""

    role: Role
    files: TlsFiles
    policy: TlsPolicy

    @property
    def identity_paths(self) -> list[str]:
        return [self.files.cert_file, self.files.key_file] if self.files.cert_file else []

    @property
    def trust_paths(self) -> list[str]:
        return [path for path in (self.files.ca_file, self.files.crl_file) if path]

    @property
    def paths(self) -> list[str]:
        return [*self.identity_paths, *self.trust_paths]


class Reading(msgspec.Struct, frozen=True):
    """What is on disk. None: the set has no files.

    :param signature: of all paths, taken before the first read: a later change shows.
    :param settled: nothing was written shortly before, see `UNSETTLED`.
    """

    signature: Signature
    settled: bool
    identity: SetContent | Fault | None
    trust: SetContent | Fault | None


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """The sets in force, and what the last look saw.

    :param identity, trust: last good; None: nothing good so far, or the set has no files.
    :param previous: identities before the one in force, latest first.
    :param seen_identity, seen_trust: what was on disk, also when it was refused.
    :param valid: positions of the CAs that the context was built with.
    :param admitting: fingerprints of the CAs under which peers are let in.
    """

    identity: Identity | None = None
    trust: Trust | None = None
    previous: tuple[Identity, ...] = ()
    seen_identity: Identity | Fault | None = None
    seen_trust: Trust | Fault | None = None
    valid: tuple[int, ...] = ()
    admitting: frozenset[str] = frozenset()


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one look found and made.

    :param context: None: the one there is stays.
    :param fallbacks: for each of `held.previous`, with the trust in force; made together with `context`.
    :param shrunk: somebody may be refused now who was let in.
    :param fault: why no handshake may begin now; None when one may.
    :param again_at: when to look again although no file changes, seconds since the epoch.
    """

    reading: Reading
    identity: Decision[Identity] | None
    trust: Decision[Trust] | None
    held: Held
    context: ssl.SSLContext | None
    fallbacks: tuple[ssl.SSLContext, ...]
    shrunk: bool
    fault: Fault | None
    again_at: float | None


def read(spec: Spec) -> Reading:
    """Read both sets, in this thread."""
    seen = signature(spec.paths)
    settled = _settled(seen)
    identity, trust = _caught(spec.identity_paths), _caught(spec.trust_paths)
    return Reading(seen, settled, identity, trust)


async def read_aside(spec: Spec) -> Reading:
    """As `read`, without holding a thread between the files: for looks that no handshake waits for."""
    seen = signature(spec.paths)
    settled = _settled(seen)
    found: list[SetContent | Fault | None] = []
    for paths in (spec.identity_paths, spec.trust_paths):
        try:
            found.append(await read_set_aside(paths) if paths else None)
        except MaterialError as error:
            found.append(Fault(error.reason, str(error)))
    return Reading(seen, settled, found[0], found[1])


def rebuild(spec: Spec, before: Held, reading: Reading, now: float, *, first: bool) -> Outcome:
    """Decide about what was read, and build what is needed.

    :param before: the sets in force.
    :param now: seconds since the epoch.
    :param first: no context was made yet.
    """
    seen_identity = _parsed(
        reading.identity,
        before.seen_identity,
        lambda content: parse_identity(spec.files.cert_file, spec.files.key_file, content),
    )
    seen_trust = _parsed_trust(spec, before, reading.trust)
    identity = _decided(before.identity, seen_identity, now, prove_identity)
    trust = _decided(before.trust, seen_trust, now, lambda each: prove_trust(each, now))
    held = _held(spec, before, identity, trust, now)
    held = msgspec.structs.replace(held, seen_identity=seen_identity, seen_trust=seen_trust)
    swapped = any(each and each.action is Action.SWAP for each in (identity, trust))
    fault = _unusable(identity) or _unusable(trust)
    context: ssl.SSLContext | None = None
    fallbacks: list[ssl.SSLContext] = []
    if fault is None and (first or swapped or held.valid != before.valid):
        try:
            context = build_context(spec.role, spec.policy, held.identity, held.trust, now)
            fallbacks = [
                build_context(spec.role, spec.policy, each, held.trust, now) for each in held.previous
            ]
        except (ssl.SSLError, ValueError, OSError) as error:
            # Each set was proved alone, so this is the machine (descriptors, memory) rather than the files.
            return _troubled(spec, before, reading, now, error, first=first)
    again_at = judge_again_at((held.identity, held.trust, seen_identity, seen_trust, *held.previous), now)
    return Outcome(
        reading=reading,
        identity=identity,
        trust=trust,
        held=held,
        context=context,
        fallbacks=tuple(fallbacks),
        shrunk=has_shrunk(before.trust, held.trust, before.admitting, held.admitting),
        fault=fault,
        again_at=again_at,
    )


def trust_on_disk(spec: Spec, held: Held, now: float) -> Trust | None:
    """The trust that a look now would put in force: for a verdict that cannot wait for one. Blocks."""
    seen = _parsed_trust(spec, held, _caught(spec.trust_paths))
    decision = _decided(held.trust, seen, now, lambda each: prove_trust(each, now))
    return decision.in_force if decision else None


def material_faults(spec: Spec, now: float) -> Sequence[Fault]:
    """What is wrong with the files as they are now, all of it: for checks before anything starts."""
    outcome = rebuild(spec, Held(), read(spec), now, first=True)
    faults = [each.fault for each in (outcome.identity, outcome.trust) if each is not None]
    if outcome.fault is not None and outcome.fault not in faults:
        faults.append(outcome.fault)
    return [fault for fault in faults if fault is not None]


def _settled(seen: Signature) -> bool:
    # The real clock, whatever the provider's is: the file system knows no other.
    newest = max((max(mtime, ctime) for mtime, _, _, ctime in seen), default=0)
    return abs(time.time() - newest / 1e9) > UNSETTLED


def _caught(paths: Sequence[str]) -> SetContent | Fault | None:
    try:
        return read_set(paths) if paths else None
    except MaterialError as error:
        return Fault(error.reason, str(error))


def _parsed(
    content: SetContent | Fault | None, seen: S | Fault | None, parse: Callable[[SetContent], S]
) -> S | Fault | None:
    if content is None or isinstance(content, Fault):
        return content
    if seen is not None and not isinstance(seen, Fault) and seen.digest == content.digest:
        return seen  # a bundle of 140 CAs takes 10 ms to parse
    try:
        return parse(content)
    except MaterialError as error:
        return Fault(error.reason, str(error))
    except Exception as error:
        # Certificates are strangers' data and parsers have surprises: none may end the cache. The text of the
        # error stays out, since it may quote what was read.
        return Fault("parse", f"the files cannot be parsed: {type(error).__name__}")


def _parsed_trust(spec: Spec, held: Held, content: SetContent | Fault | None) -> Trust | Fault | None:
    return _parsed(
        content,
        held.seen_trust,
        lambda found: parse_trust(spec.files.ca_file, spec.files.crl_file, found),
    )


def _decided(
    in_force: S | None, seen: S | Fault | None, now: float, prove: Callable[[S], Fault | None]
) -> Decision[S] | None:
    if seen is None:
        return None
    decision = decide(in_force, seen, now)
    if decision.action is not Action.SWAP or isinstance(seen, Fault):
        return decision
    fault = prove(seen)
    return decision if fault is None else decide(in_force, fault, now)


def _held(
    spec: Spec, before: Held, identity: Decision[Identity] | None, trust: Decision[Trust] | None, now: float
) -> Held:
    current = identity.in_force if identity else None
    previous: list[Identity] = []
    if spec.role is Role.CLIENT and current is not None:
        # A listener shows what it has: clients cannot say that they would rather see the old one.
        for each in (before.identity, *before.previous):
            if each is not None and each.digest != current.digest and each.fault_at(now) is None:
                previous.append(each)
    in_force = trust.in_force if trust else None
    if in_force is None:
        return Held(identity=current, previous=tuple(previous[:PREVIOUS_IDENTITIES]))
    return Held(
        identity=current,
        trust=in_force,
        previous=tuple(previous[:PREVIOUS_IDENTITIES]),
        valid=tuple(in_force.valid_at(now)),
        admitting=frozenset(in_force.authorities[each].fingerprint for each in in_force.usable_at(now)),
    )


def _troubled(
    spec: Spec, before: Held, reading: Reading, now: float, error: Exception, *, first: bool
) -> Outcome:
    fault = Fault("openssl", f"no TLS context could be made of {', '.join(spec.paths)}: {error}")
    return Outcome(
        reading=reading,
        identity=None,
        trust=None,
        held=before,
        context=None,
        fallbacks=(),
        shrunk=False,
        fault=fault if first else None,
        again_at=now + RETRY,
    )


def _unusable(decision: Decision[Identity] | Decision[Trust] | None) -> Fault | None:
    """Why no handshake may use this set, and what would help; None when one may."""
    if decision is None or decision.unusable is None:
        return None
    fault = decision.unusable
    if decision.fault is None or decision.fault.message == fault.message:
        return fault
    return Fault(
        fault.reason, f"{fault.message}; what is on disk cannot replace it: {decision.fault.message}"
    )
