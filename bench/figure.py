"""A figure beside its target."""

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """
    :param better: whether `target` is to be reached from above (``>=``) or below (``<``, ``<=``).
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    better: str = ">="
    detail: str = ""

    @property
    def reached(self) -> bool | None:
        """None where there is no target."""
        if self.target is None:
            return None
        reached = {
            ">=": self.value >= self.target,
            "<=": self.value <= self.target,
            "<": self.value < self.target,
        }
        return reached[self.better]

    def __str__(self) -> str:
        line = f"{self.name}: {self.value:.4g} {self.unit}".rstrip()
        if self.target is not None:
            verdict = "reached" if self.reached else "MISSED"
            line += f" (target {self.better} {self.target:g}: {verdict})"
        return f"{line}; {self.detail}" if self.detail else line
