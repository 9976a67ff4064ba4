"""Numbers and states as people read them: durations, counts, sizes, units, how a run stands."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication

if TYPE_CHECKING:
    from arstudio.image import ImageSpec


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


def two_digits(number: float) -> str:
    """Two significant digits, written out: 0.00004, 0.32, 120; below a millionth 3.2e-07."""
    shown = f"{number:.2g}"
    return f"{Decimal(shown):f}" if abs(number) >= 1e-6 or number == 0 else shown


def size(number: float) -> str:
    """Bytes: 35 MB, 1.2 GB."""
    return f"{number / 1e9:.1f} GB" if number >= 0.995e9 else f"{max(number / 1e6, 1):.0f} MB"


def per_dim(spec: ImageSpec) -> str:
    """The unit of −log₂ p a site: of reals it is of a density, which may be negative."""
    return "bits/dim" if spec.levels else "bits/dim of density"


def state_words(state: str) -> str:
    """How a run stands, see `training.lock.state_of`; besides paused, and leaving for the trash."""
    words = {
        "new": QCoreApplication.translate("wording", "not begun"),
        "training": QCoreApplication.translate("wording", "training"),
        "paused": QCoreApplication.translate("wording", "paused"),
        "finished": QCoreApplication.translate("wording", "finished"),
        "early": QCoreApplication.translate("wording", "stopped early"),
        "stopped": QCoreApplication.translate("wording", "stopped, can resume"),
        "interrupted": QCoreApplication.translate("wording", "interrupted, can resume"),
        "diverged": QCoreApplication.translate("wording", "diverged, best kept"),
        "elsewhere": QCoreApplication.translate("wording", "training elsewhere"),
        "leaving": QCoreApplication.translate("wording", "going to the trash"),
    }
    return words.get(state, state)
