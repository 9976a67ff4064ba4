"""Model files as a reader without torch sees them: the header, the errors, atomic writing,
and finding a model.

A model file is one `.safetensors` whose metadata holds, under "arstudio", a JSON header:

    {"format": 1, "model": "gated_pixelcnn", "config": {...}, "spec": {...}, "num_classes": 10,
     "class_names": [...], "facts": {...}}

Tensors are named `weights.<parameter>`; a training checkpoint adds `ema.*`, `adam.*` and `rng.*`. Safetensors
hold numbers only, so opening a file never runs code.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from arstudio.image import ImageSpec
from arstudio.resources import resource

FORMAT = 1
TITLES = {
    "histogram": "Histogram", "fvsbn": "FVSBN", "nade": "NADE", "eonade": "EoNADE", "rnade": "RNADE", "made": "MADE",
    "pixel_rnn": "RNN over pixels", "row_lstm": "Row LSTM", "diagonal_bilstm": "Diagonal BiLSTM",
    "multiscale": "Multi-scale PixelRNN", "pixelcnn": "PixelCNN", "gated_pixelcnn": "Gated PixelCNN",
    "pixelcnn_pp": "PixelCNN++", "pixelsnail": "PixelSNAIL", "wavenet": "WaveNet", "imagegpt": "ImageGPT",
    "lmconv": "LMConv", "order_agnostic": "Order-agnostic network",
}


class ModelFileError(ValueError):
    """A model file that cannot be opened; the message says what is wrong with it."""


class WriteError(OSError):
    """A file the disk refused. `str` is one sentence; what was there before is unchanged."""

    def __str__(self) -> str:
        return str(self.strerror)


@dataclass(frozen=True)
class Facts:
    """What is known of a model's training and of its test figure. Empty fields are unknown. `failures` are known weaknesses, a
    sentence each; `slice_nats` is the figure of the first `slice_images` of the split, to check a copy by."""

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
    failures: str = ""
    slice_images: int = 0
    slice_nats: float | None = None


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
        return TITLES.get(self.model, self.model)

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
    start = b""
    try:
        with path.open("rb") as file:
            start = file.read(8)
        with safe_open(str(path), framework="numpy") as file:
            return file.metadata() or {}
    except FileNotFoundError:
        raise ModelFileError(f"There is no model file {path}.") from None
    except (SafetensorError, OSError) as error:
        # A safetensors file begins with the length of its header, which may be 80 02 00 … too: so ask last.
        if start[:2] == b"PK" or (start[:1] == b"\x80" and any(start[2:])):
            raise ModelFileError(
                f"{path.name} is a pickle or zip archive, not safetensors; AR Studio never opens pickles, "
                "because loading one can run code."
            ) from None
        raise ModelFileError(
            f"{path.name} is damaged, cut short or not a safetensors file ({error}); use another copy of it."
        ) from None


def card_from_metadata(metadata: dict[str, str], path: Path) -> ModelCard:
    """Metadata -> card. Raises ModelFileError for files of other programs and of newer versions."""
    text = metadata.get("arstudio")
    if text is None:
        raise ModelFileError(
            f"{path.name} is a safetensors file of another program: it has no AR Studio header."
        )
    try:
        header = json.loads(text)
        if header["format"] > FORMAT:
            raise ModelFileError(
                f"{path.name} was written by a newer AR Studio (format {header['format']}, "
                f"this one reads {FORMAT}); update AR Studio to open it."
            )
        known = {f.name for f in dataclasses.fields(Facts)}
        card = ModelCard(
            model=header["model"], spec=ImageSpec(**header["spec"]), config=header["config"],
            num_classes=header["num_classes"], class_names=tuple(header["class_names"]),
            facts=Facts(**{k: v for k, v in header["facts"].items() if k in known}), path=path,
        )
        _check_types(card)
        return card
    except ModelFileError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        reason = str(error).rstrip(".")
        raise ModelFileError(
            f"{path.name} has a damaged AR Studio header ({reason}); use another copy of it."
        ) from None


def _check_types(card: ModelCard) -> None:
    """Raise TypeError if a field read from JSON is not of its type."""
    expected = [(card.model, str), (card.config, dict), (card.num_classes, int)]
    expected += [(name, str) for name in card.class_names]
    for field_ in dataclasses.fields(Facts):
        kind = str if field_.type == "str" else (int, float, type(None))
        expected.append((getattr(card.facts, field_.name), kind))
    for value, kind in expected:
        if not isinstance(value, kind):
            raise TypeError(f"{value!r} does not belong there")


def bundled_models() -> list[ModelCard]:
    """Cards of the models that come with AR Studio, best first within each dataset."""
    cards = [read_card(path) for path in sorted(resource("models").glob("*.safetensors"))]
    data = {"fashion": 0, "emoji": 1, "mnist": 2, "digits": 3}
    return sorted(cards, key=lambda c: (data.get(c.facts.dataset, 9), c.facts.nats or math.inf, c.name))


def find_model(text: str | Path) -> Path:
    """A bundled name, a model file or a run directory -> the file to load.
    Raises ModelFileError if there is none."""
    path = Path(text)
    if path.is_dir():
        for name in ("best.safetensors", "latest.safetensors"):
            if (path / name).exists():
                return path / name
        raise ModelFileError(
            f"{path} is not a run directory: it holds neither best.safetensors nor latest.safetensors."
        )
    if path.exists():
        return path
    try:
        return resource("models", f"{text}.safetensors")
    except FileNotFoundError:
        names = [card.name for card in bundled_models()]
        near = get_close_matches(str(text), names, 3, 0.5) or names[:3]
        raise ModelFileError(
            f"There is no model {str(text)!r}: give a model file, a run directory or one of the {len(names)} that "
            f"`arstudio models` lists, such as {', '.join(near)}."
        ) from None


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write a file so that a reader, a crash or a full disk never meets half of it:
    temporary file, fsync, replace.

    Raises WriteError with one sentence; the file that was there before is unchanged then.
    """
    import secrets  # loads OpenSSL, which the window's first paint does not need

    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:    # also when Ctrl-C comes in the middle
            temporary.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise WriteError(
            error.errno, f"{path} could not be written ({reason}); what was there before is unchanged."
        ) from None
