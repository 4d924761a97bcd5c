"""Run a command that is ended when its parent is, however that ends: ``python leash.py COMMAND...``.

Run by path, not as a module: it must cost a child a few milliseconds, not the import of the package. The
signal that is asked for survives the exec (prctl(2), PR_SET_PDEATHSIG).
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # It died before the request was made, so no signal will come.
        sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
