"""Changes to libraries that nothing of theirs can be configured to do. Each says what it cures."""

from hyperframe.frame import Frame


def apply_patches() -> None:
    """Idempotent. Called where this package's protocols are made.

    h2 traces the repr of every frame it receives, whether or not anybody listens; hyperframe's repr prints
    the payload. Measured: 38 % of the time of a receiving client.
    """
    Frame.__repr__ = object.__repr__  # type: ignore[method-assign]
