"""Where the bundled datasets, models and icons lie: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path


def resource(*parts: str) -> Path:
    """Path of a bundled resource, e.g. `resource("datasets", "digits.npz")`.

    Raises FileNotFoundError with one sentence when the installation lacks it.
    """
    package = Path(__file__).parent
    for root in (package / "resources", package.parent / "resources"):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise FileNotFoundError(
        f"The bundled file resources/{'/'.join(parts)} is missing: reinstall AR Studio or use a full checkout."
    )
