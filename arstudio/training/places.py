"""Where runs live on this machine, and names for new ones. Imports no torch."""

from __future__ import annotations

import os
import re
from pathlib import Path

from arstudio.training.runs import RunError


def runs_root() -> Path:
    """The directory of run directories: ARSTUDIO_RUNS if set, else `runs` in the user's data directory."""
    chosen = os.environ.get("ARSTUDIO_RUNS")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_data_path

    return user_data_path("arstudio") / "runs"


def free_name(stem: str, root: Path | None = None) -> str:
    """`stem-n` with n one above the highest there is."""
    root = root or runs_root()
    pattern = re.compile(re.escape(stem) + r"-(\d+)")
    taken = [int(m[1]) for p in root.glob("*") if (m := pattern.fullmatch(p.name))]
    return f"{stem}-{max(taken, default=0) + 1}"


def stem_of(dataset: str, model: str) -> str:
    """`dataset-model` as a file name: digits-gated-pixelcnn."""
    return re.sub(r"[^\w.]+", "-", f"{dataset}-{model.replace('_', '-')}").strip("-.") or "run"


def new_path(name: str, root: Path | None = None) -> Path:
    """The directory for a new run of this name. Raises RunError if it is no file name, or taken."""
    name = name.strip()
    if not name or name.startswith(".") or len(name) > 100 or re.search(r'[/\\:*?"<>|\x00-\x1f]', name):
        raise RunError(f"A run cannot be called {name!r}; use letters, digits, dots and dashes.")
    path = (root or runs_root()) / name
    if path.exists():
        raise RunError(f"There is a run called {name} already; choose another name, or resume it.")
    return path
