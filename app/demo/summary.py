"""What the demo ends with: one Struct, as JSON or as lines, and the exit code."""

from collections.abc import Mapping, Sequence

import msgspec

from app.demo.board import EndpointRow


class EndpointSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint at the end. `serial` and `identity` are those of its certificate; "" for plaintext."""

    group: str
    address: str
    version: str
    identity: str
    serial: str
    handshakes: int
    calls: int
    failures: int
    last_error: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The demo's outcome.

    :param calls, failed: of the driver. A call failed if its status is not OK, it carries a warning, or its
        series or chunk bytes differ from what the stores hold.
    :param rotations: picked up, of all kinds.
    :param handshakes: of the querier with its endpoints and of the driver with the querier.
    :param seconds: how long calls were made.
    :param missed: rotations that were not picked up in time.
    :param faults: what was wrong with the last failed calls.
    """

    calls: int
    failed: int
    rotations: int
    rotations_by_kind: Mapping[str, int]
    handshakes: int
    seconds: float
    calls_per_second: float
    missed: Sequence[str]
    faults: Sequence[str]
    endpoints: Sequence[EndpointSummary]

    @property
    def problems(self) -> list[str]:
        """Why the demo did not show what it is there to show; empty when it did."""
        found = []
        if not self.calls:
            found.append("no call was made")
        if self.failed:
            found.append(f"{self.failed} of {self.calls} calls failed")
        found += [f"rotation not picked up: {what}" for what in self.missed]
        return found

    def lacking(self) -> list[str]:
        """`problems`, and every kind of rotation that did not happen: for a run that ended by itself."""
        missing = [kind for kind, count in self.rotations_by_kind.items() if not count]
        return self.problems + [f"no rotation of kind {kind} was finished" for kind in missing]

    def json(self) -> str:
        return msgspec.json.encode(self).decode()

    def lines(self) -> list[str]:
        kinds = ", ".join(f"{kind} {count}" for kind, count in self.rotations_by_kind.items())
        return [
            f"{self.calls} calls in {self.seconds:.0f} s ({self.calls_per_second:.0f} a second), "
            f"{self.failed} failed",
            f"{self.rotations} rotations picked up ({kinds}), {self.handshakes} handshakes",
            *(f"  failed: {fault}" for fault in self.faults),
        ]


def endpoint_summaries(rows: Sequence[EndpointRow]) -> list[EndpointSummary]:
    names = EndpointSummary.__struct_fields__
    return [EndpointSummary(**{name: getattr(row, name) for name in names}) for row in rows]
