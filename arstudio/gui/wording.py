"""Numbers as people read them: durations, counts, sizes."""

from __future__ import annotations

import math


def duration(seconds: float) -> str:
    """0 s, 45 s, 2 min, 2.5 min, 1 h 5 min; – when unknown."""
    if not math.isfinite(seconds):
        return "–"
    if seconds < 59.5:
        return f"{seconds:.1f}".removesuffix(".0") + " s" if seconds < 1.95 else f"{seconds:.0f} s"
    minutes = seconds / 60
    if minutes < 9.95:
        return f"{minutes:.1f}".removesuffix(".0") + " min"
    if minutes < 59.5:
        return f"{minutes:.0f} min"
    hours, rest = divmod(round(minutes), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def count(number: float) -> str:
    """950, 58,300, 1.2 M."""
    return f"{number / 1e6:.1f} M" if number >= 999_950 else f"{number:,.0f}"


def size(number: float) -> str:
    """Bytes: 35 MB, 1.2 GB."""
    return f"{number / 1e9:.1f} GB" if number >= 0.995e9 else f"{max(number / 1e6, 1):.0f} MB"
