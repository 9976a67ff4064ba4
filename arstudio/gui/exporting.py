"""What leaves the window: pictures with their settings inside, animations, traces, Python, model files, the clipboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QImage

from arstudio.gui.studio import Studio
from arstudio.gui.widgets.pixel_view import pixels, to_qimage

if TYPE_CHECKING:
    import numpy as np

    from arstudio.models import AutoregressiveModel
    from arstudio.models.modelfile import ModelCard
    from arstudio.sampling import Recipe, Trace


def recipe(studio: Studio) -> Recipe | None:
    """How to draw what is shown, None for what was not drawn here, such as a picture that was opened to be inspected."""
    return studio.tree.recipe_of(studio.tree.current) if studio.tree is not None else None


def info(studio: Studio) -> dict[str, Any]:
    """What a picture says of itself: model, settings and edits, which image, and which step if it is not complete."""
    card, trace, made = studio.trace_card, studio.trace, recipe(studio)
    found: dict[str, Any] = {
        "kind": "sample", "model": card.name if card else "", "path": str(card.path or "") if card else "",
        "architecture": card.model if card else "", "spec": trace.spec.to_dict(), "image": studio.focus,
        "step": min(studio.position, trace.cursor), "nats": trace.nats(studio.focus),
    }
    if made is not None:
        found["recipe"] = made.to_dict()
        found["settings"] = found["recipe"]["settings"]
    return found


def picture_bytes(trace: Trace, index: int | None, position: int, info: dict[str, Any], scale: int = 8) -> bytes:
    """PNG of image `index`, or of all, as they are at a step, enlarged, with `info` in a text chunk. Needs no window."""
    from arstudio.sampling.export import png_bytes, sheet

    images = trace.images(position)
    return png_bytes(sheet(images if index is None else images[index:index + 1], trace.spec, scale=scale), info)


def canvas_bytes(shown: np.ndarray, name: str, scale: int = 8) -> bytes:
    """PNG of (H, W, 3) uint8, such as what the canvas of Complete shows, enlarged, with the model's name in a text chunk.
    Needs no window."""
    from PIL import Image

    from arstudio.sampling.export import png_bytes

    picture = Image.fromarray(shown)
    picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
    return png_bytes(picture, {"model": name, "job": "complete"})


def snippet(studio: Studio) -> str:
    """Python that draws the large image again through the package; "" if it was not drawn here."""
    made, card = recipe(studio), studio.trace_card
    if made is None or card is None:
        return ""
    from arstudio.resources import resource

    bundled = card.path is not None and card.path.parent == resource("models")
    return made.snippet(card.name if bundled else str(card.path or card.name), studio.focus)


def model_bytes(model: AutoregressiveModel, card: ModelCard) -> bytes:
    """A model as a model file. Needs no window."""
    from arstudio.models.checkpoint import encode_model, named

    return encode_model(card, named("weights", model))


def clipboard_image(studio: Studio, scale: int = 8) -> QImage:
    """The large image as shown, enlarged."""
    trace = studio.trace
    picture = to_qimage(pixels(trace.image(studio.focus, studio.position), trace.spec))
    return picture.scaled(picture.width() * scale, picture.height() * scale, Qt.AspectRatioMode.KeepAspectRatio)
