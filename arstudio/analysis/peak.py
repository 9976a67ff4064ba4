"""The most memory that this process held at once, which on Linux can be counted anew."""

from __future__ import annotations

import math
import sys


def forget_peak() -> bool:
    """Let the peak begin anew -> whether the system can (Linux)."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        return False
    return True


def peak_bytes() -> float:
    """Highest resident memory since `forget_peak`, or since the start where it cannot be counted anew; NaN if unknown."""
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return math.nan
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
