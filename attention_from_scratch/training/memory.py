"""Memory that stays: what one step of training has freed, the next one uses again."""

import ctypes
import sys

# Parameters of glibc's mallopt(3), and what each is set to.
KEEP = {
    -1: 2**31 - 1,  # M_TRIM_THRESHOLD: give nothing back to the system
    -2: 64 * 2**20,  # M_TOP_PAD: ask for this much at a time
    -4: 0,  # M_MMAP_MAX: large arrays too come from what is kept
}


def keep_memory() -> bool:
    """Tell the C library to keep memory that is freed; return whether it will.

    A step makes and drops arrays of many megabytes. By default each comes fresh from the system,
    which fills it with zeros page by page as it is touched, and that costs more than what is
    computed in it. Kept, the process stays as large as it was at its largest. Only glibc (Linux)
    has these settings; elsewhere nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library, such as musl
        return False
    return all(mallopt(parameter, value) == 1 for parameter, value in KEEP.items())
