"""What is said of material, in logs and metrics: one line a rotation, one line for each new reason."""

import msgspec
import structlog

from app.tls.certificates import instant
from app.tls.decision import Action, Decision
from app.tls.metrics import TlsMetrics
from app.tls.model import CertificateInfo, Change, Role, SetStatus
from app.tls.validation import Identity, Trust

LISTED = 5
"""CAs named in one log line; a public bundle has 140."""

log = structlog.get_logger()


class Announcer:
    """Immutable: who it speaks for. Takes what was decided and says it."""

    def __init__(self, group: str, role: Role, metrics: TlsMetrics) -> None:
        self._labels = (group, str(role))
        self._log = log.bind(group=group, role=str(role))
        self._metrics = metrics

    def decided(
        self,
        name: str,
        decision: Decision[Identity] | Decision[Trust] | None,
        before: SetStatus,
        now: float,
    ) -> SetStatus:
        """Count and log the outcome for the set `name`, where it is news.

        :param before: the status of the set so far.
        :return: its status from now on.
        """
        if decision is None:
            return before
        fault = decision.fault
        if fault is None:
            if decision.action is Action.SWAP:
                self._metrics.reloads.labels(*self._labels, name, "accepted", "").inc()
                return SetStatus(loaded_at=now)
            if before.refused_reason:
                self._log.info("certificate material is good again", set=name, was=before.refused_reason)
            return SetStatus(loaded_at=before.loaded_at)
        if (fault.reason, fault.message) != (before.refused_reason, before.refused_message):
            self._metrics.reloads.labels(*self._labels, name, "refused", fault.reason).inc()
            refused = decision.action is Action.REFUSE
            self._log.warning(
                "certificate material refused" if refused else "certificate material has ended",
                set=name,
                reason=fault.reason,
                err=fault.message,
                last_good="none" if decision.unusable else "serving",
            )
        return msgspec.structs.replace(before, refused_reason=fault.reason, refused_message=fault.message)

    def swapped(self, change: Change, skipped: int, crl_next_update: float | None) -> None:
        """One line: what changed, serial and expiry, old and new.

        :param skipped: CAs of the bundle left out, being outside their dates.
        """
        old, new = change.old, change.new
        fields: dict[str, object] = {"generation": new.generation}
        if new.identity is not None and (old is None or change.identity_changed):
            fields |= _leaf("", new.identity)
            if old is not None and old.identity is not None:
                fields |= _leaf("old_", old.identity)
        if old is None:
            fields["cas"] = _list(new.trust)
        else:
            before = {each.fingerprint for each in old.trust}
            after = {each.fingerprint for each in new.trust}
            fields["cas_added"] = _list([each for each in new.trust if each.fingerprint not in before])
            fields["cas_removed"] = _list([each for each in old.trust if each.fingerprint not in after])
        if crl_next_update is not None and (old is None or change.trust_changed):
            fields["crl_next_update"] = instant(crl_next_update)
        said = {key: value for key, value in fields.items() if value != ""}
        if old is None:
            self._log.info("certificate material loaded", **said)
        else:
            parts = [("identity", change.identity_changed), ("trust", change.trust_changed)]
            what = " and ".join(name for name, is_changed in parts if is_changed) or "dates of CAs"
            self._log.info(f"certificate material rotated: {what}", **said)
        if skipped:
            self._log.warning("CAs outside their dates were left out", skipped=skipped)


def _leaf(prefix: str, leaf: CertificateInfo) -> dict[str, object]:
    return {f"{prefix}serial": leaf.serial, f"{prefix}not_after": instant(leaf.not_after)}


def _list(authorities: "list[CertificateInfo] | tuple[CertificateInfo, ...]") -> str:
    named = [
        f"{each.subject} serial {each.serial} until {instant(each.not_after)}"
        for each in authorities[:LISTED]
    ]
    more = len(authorities) - len(named)
    return "; ".join([*named, f"{more} more"] if more > 0 else named)
