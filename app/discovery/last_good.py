"""What becomes of a file's list when the file changes: take it, or keep the last good. Pure."""

import msgspec

from app.discovery.targets import TargetList

Signature = tuple[int, int, int, int]
"""mtime and ctime in nanoseconds, inode, size: equal means not worth reading again."""


SETTLED_AFTER = 3.0
"""Seconds after which a file that has stayed the same is taken to be finished."""


class Reading(msgspec.Struct, frozen=True):
    """One attempt to read a file.

    :param signature: of what was read; None where not even that could be found out.
    :param targets: None where it could not be read or parsed.
    :param error: why there are no `targets`.
    """

    signature: Signature | None
    targets: TargetList | None
    error: str = ""


class FileList(msgspec.Struct, frozen=True):
    """A file as it counts now.

    :param addresses: the last good list; None: there was none yet.
    :param error: why what is on disk is not in use; "" when it is.
    :param faults: targets of the list in use that are no addresses.
    :param doubted: what was refused only for its faults, to be used if it stays.
    :param doubted_since: seconds on the clock that `judge` is given.
    """

    signature: Signature | None
    addresses: tuple[str, ...] | None
    error: str = ""
    faults: tuple[str, ...] = ()
    doubted: TargetList | None = None
    doubted_since: float = 0.0

    @property
    def settled(self) -> bool:
        """Whether there is no need to look again before the file changes."""
        return not self.error and self.signature is not None


def judge(known: FileList | None, reading: Reading, now: float) -> FileList:
    """The file after `reading` at `now` (seconds, any clock).

    A file that cannot be read or parsed is taken for half-written: the last good list goes on. So is one in
    which a target is no address, when it changed just now: a list cut off in the middle of a line parses
    (``host:109`` would too; whoever writes such files has to rename them into place). If it stays so
    for `SETTLED_AFTER`, it is what the operator meant, and the rest of the list is used without them.
    """
    last_good = known.addresses if known is not None else None
    targets = reading.targets
    if targets is None:
        return FileList(reading.signature, last_good, reading.error)
    if targets.faults and last_good is not None and known is not None:
        since = known.doubted_since if known.doubted == targets else now
        # Faults that were tolerated before are no sign of a file that is being written.
        new_faults = not set(targets.faults) <= set(known.faults)
        if new_faults and now - since < SETTLED_AFTER:
            return FileList(
                reading.signature, last_good, "; ".join(targets.faults[:3]), known.faults, targets, since
            )
    return FileList(reading.signature, targets.addresses, "", targets.faults)
