"""A process that leaves no core: what it holds of riders dies with it.

Laws of this file:
- PR_SET_DUMPABLE (prctl(2)) is 0: the kernel writes no core of this process, to a file or through a pipe, and lets
  nobody but root look into it. RLIMIT_CORE is 0, for children too, whose own dumpable flag begins anew.
- Where the system refuses, the terminal runs all the same and says so: the gate comes first.
"""

import ctypes
import logging
import resource

PR_GET_DUMPABLE, PR_SET_DUMPABLE = 3, 4  # linux/prctl.h

log = logging.getLogger(__name__)


def forbid_cores() -> bool:
    """Have no core written of this process; whether the system agreed."""
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        prctl = ctypes.CDLL(None).prctl
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        forbidden = int(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)) == 0
    except (OSError, ValueError, AttributeError):
        forbidden = False
    if not forbidden:
        log.warning("cores", extra={"what": "this system would write a core of the terminal if it crashed"})
    return forbidden
