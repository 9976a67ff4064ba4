"""What two or more runs were told differently, from their records. No torch here."""

from __future__ import annotations

from typing import Any

from arstudio.training.runs import Run

PARTS = {"spec": "images", "view": "data", "config": "model", "training": "training"}
WHOLE = ("dataset", "protocol", "model", "num_classes", "parameters", "machine")


def settings_of(run: Run) -> dict[str, str]:
    """Everything a run was told, by a name such as `training learning_rate`, as text."""
    found = {name: _text(run.record[name]) for name in WHOLE if name in run.record}
    for part, title in PARTS.items():
        values = run.record.get(part)
        if isinstance(values, dict):
            found |= {f"{title} {key}": _text(value) for key, value in values.items()}
    return found


def differences(runs: list[Run]) -> list[tuple[str, tuple[str, ...]]]:
    """(name, value of each run, – where it has none) of every setting that is not the same in all, in the order of settings."""
    told = [settings_of(run) for run in runs]
    names = list(dict.fromkeys(name for settings in told for name in settings))
    rows = [(name, tuple(settings.get(name, "–") for settings in told)) for name in names]
    return [row for row in rows if len(set(row[1])) > 1]


def _text(value: Any) -> str:
    if value is None:
        return "as is"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
