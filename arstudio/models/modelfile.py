"""Model files as a reader without torch sees them: the header, the errors, atomic writing, and finding a model.

A model file is one `.safetensors` whose metadata holds, under "arstudio", a JSON header:

    {"format": 1, "model": "gated_pixelcnn", "config": {...}, "spec": {...}, "num_classes": 10,
     "class_names": [...], "facts": {...}}

Tensors are named `weights.<parameter>`; a training checkpoint adds `ema.*`, `adam.*` and `rng.*`. Safetensors hold
numbers only, so opening a file never runs code.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from arstudio.image import ImageError, ImageSpec
from arstudio.resources import resource

FORMAT = 1
_TITLES = {"fvsbn": "FVSBN", "nade": "NADE", "pixelcnn": "PixelCNN", "gated_pixelcnn": "Gated PixelCNN"}


class ModelFileError(ValueError):
    """A model file that cannot be opened or written; the message says what is wrong with it."""


@dataclass(frozen=True)
class Facts:
    """What is known of a model's training and of its test figure. Empty fields are unknown."""

    dataset: str = ""
    protocol: str = ""
    split: str = ""
    nats: float | None = None
    bits_per_dim: float | None = None
    images: int = 0
    command: str = ""
    seed: int | None = None
    epochs: float = 0.0
    seconds: float = 0.0
    machine: str = ""
    licence: str = ""


@dataclass(frozen=True)
class ModelCard:
    """The header of a model file."""

    model: str
    spec: ImageSpec
    config: dict[str, Any]
    num_classes: int = 0
    class_names: tuple[str, ...] = ()
    facts: Facts = field(default_factory=Facts)
    path: Path | None = None

    @property
    def title(self) -> str:
        """Name of the architecture for people."""
        return _TITLES.get(self.model, self.model)

    @property
    def name(self) -> str:
        """Short name for commands: the bundled file's stem, a run directory's name, or the file's stem."""
        if self.path is None:
            return self.model
        return self.path.parent.name if self.path.stem in ("best", "latest") else self.path.stem

    @property
    def kind(self) -> str:
        """One line below the title: dataset and levels."""
        levels = "continuous" if self.spec.levels == 0 else f"{self.spec.levels} levels"
        return f"{self.facts.dataset} · {levels}" if self.facts.dataset else str(self.spec)

    def class_name(self, index: int) -> str:
        """Name of a class, or its number."""
        return self.class_names[index] if 0 <= index < len(self.class_names) else str(index)

    def header(self) -> dict[str, Any]:
        """The JSON header."""
        return {
            "format": FORMAT, "model": self.model, "config": self.config, "spec": self.spec.to_dict(),
            "num_classes": self.num_classes, "class_names": list(self.class_names),
            "facts": dataclasses.asdict(self.facts),
        }


def read_card(path: str | Path) -> ModelCard:
    """Header of a model file. Raises ModelFileError, one sentence, for anything that is not one."""
    return card_from_metadata(read_metadata(path), Path(path))


def read_metadata(path: str | Path) -> dict[str, str]:
    """Metadata of a safetensors file after checking that it is whole. Raises ModelFileError."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(2)
        if start[:1] == b"\x80" or start == b"PK":
            raise ModelFileError(
                f"{path.name} is a pickle or zip archive, not safetensors; AR Studio never opens pickles, because "
                "loading one can run code."
            )
        with safe_open(str(path), framework="numpy") as file:
            return file.metadata() or {}
    except FileNotFoundError:
        raise ModelFileError(f"There is no model file {path}.") from None
    except (SafetensorError, OSError) as error:
        raise ModelFileError(
            f"{path.name} is damaged, cut short or not a safetensors file ({error}); use another copy of it."
        ) from None


def card_from_metadata(metadata: dict[str, str], path: Path) -> ModelCard:
    """Metadata -> card. Raises ModelFileError for files of other programs and of newer versions."""
    text = metadata.get("arstudio")
    if text is None:
        raise ModelFileError(f"{path.name} is a safetensors file of another program: it has no AR Studio header.")
    try:
        header = json.loads(text)
        if header["format"] > FORMAT:
            raise ModelFileError(
                f"{path.name} was written by a newer AR Studio (format {header['format']}, this one reads {FORMAT}); "
                "update AR Studio to open it."
            )
        known = {f.name for f in dataclasses.fields(Facts)}
        return ModelCard(
            model=header["model"], spec=ImageSpec(**header["spec"]), config=header["config"],
            num_classes=header["num_classes"], class_names=tuple(header["class_names"]),
            facts=Facts(**{k: v for k, v in header["facts"].items() if k in known}), path=path,
        )
    except ModelFileError:
        raise
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError, ImageError) as error:
        raise ModelFileError(f"{path.name} has a damaged AR Studio header ({error}); use another copy of it.") from None


def bundled_models() -> list[ModelCard]:
    """Cards of the models that come with AR Studio, best first within each dataset."""
    order = {"gated_pixelcnn": 0, "pixelcnn": 1, "nade": 2, "fvsbn": 3}
    cards = [read_card(path) for path in sorted(resource("models").glob("*.safetensors"))]
    data = {"fashion": 0, "mnist": 1, "digits": 2}
    return sorted(cards, key=lambda c: (data.get(c.facts.dataset, 9), order.get(c.model, 9), c.name))


def find_model(text: str | Path) -> Path:
    """A bundled name, a model file or a run directory -> the file to load. Raises ModelFileError if there is none."""
    path = Path(text)
    if path.is_dir():
        for name in ("best.safetensors", "latest.safetensors"):
            if (path / name).exists():
                return path / name
        raise ModelFileError(f"{path} is not a run directory: it holds neither best.safetensors nor latest.safetensors.")
    if path.exists():
        return path
    try:
        return resource("models", f"{text}.safetensors")
    except FileNotFoundError:
        names = ", ".join(card.name for card in bundled_models())
        raise ModelFileError(
            f"There is no model {str(text)!r}: give a model file, a run directory or one of {names}."
        ) from None


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write a file so that a reader, a crash or a full disk never meets half of it: temporary file, fsync, replace.

    Raises OSError with one sentence; the file that was there before is unchanged then.
    """
    path = Path(path)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        raise OSError(
            error.errno, f"{path} could not be written ({error.strerror}); what was there before is unchanged"
        ) from None
