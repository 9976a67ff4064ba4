"""What leaves the window: pictures with their settings inside, animations, traces, model files, the clipboard."""

from __future__ import annotations

import dataclasses
import io

from PySide6.QtCore import Qt
from PySide6.QtGui import QImage

from arstudio.gui.studio import Studio
from arstudio.gui.widgets.pixel_view import PixelView, pixels, to_qimage


def info(studio: Studio) -> dict:
    """What a picture says of itself: model, settings, which image, and which step if it is not complete."""
    from arstudio.sampling.trace import FORCED

    card, trace = studio.trace_card, studio.trace
    return {
        "model": card.name if card else "", "architecture": card.model if card else "",
        "settings": dataclasses.asdict(studio.settings), "image": studio.focus,
        "step": min(studio.position, trace.cursor), "nats": trace.nats(studio.focus),
        "changed": [
            {"row": row, "column": column, "channel": channel, "value": int(trace.values[studio.focus, t])}
            for t in (trace.origin[studio.focus] == FORCED).nonzero()[0].tolist()
            for channel, row, column in [trace.site(t)]
        ],
    }


def picture_bytes(studio: Studio, scale: int = 8) -> bytes:
    """PNG of the large image as shown, enlarged, with `info` in a text chunk."""
    from PIL import Image

    from arstudio.sampling.export import png_bytes

    trace = studio.trace
    rgb = pixels(trace.image(studio.focus, studio.position), trace.spec)
    picture = Image.fromarray(rgb).resize((trace.spec.width * scale, trace.spec.height * scale), Image.Resampling.NEAREST)
    return png_bytes(picture, info(studio))


def canvas_bytes(canvas: PixelView, studio: Studio, scale: int = 8) -> bytes:
    """PNG of what the canvas of Complete shows, enlarged, with the model's name in a text chunk."""
    from PIL import Image

    from arstudio.sampling.export import png_bytes

    spec = canvas.spec
    picture = Image.fromarray(pixels(canvas.image(), spec))
    picture = picture.resize((spec.width * scale, spec.height * scale), Image.Resampling.NEAREST)
    return png_bytes(picture, {"model": studio.card.name if studio.card else "", "job": "complete"})


def gif(studio: Studio) -> bytes:
    """GIF of the unfolding of all shown images."""
    from arstudio.sampling.export import gif_bytes

    return gif_bytes(studio.trace)


def csv_bytes(studio: Studio) -> bytes:
    """CSV of the large image's trace."""
    text = io.StringIO()
    studio.trace.write_csv(text, studio.focus)
    return text.getvalue().encode()


def model_bytes(studio: Studio) -> bytes:
    """The current model as a model file."""
    from arstudio.models.checkpoint import encode_model

    weights = {f"weights.{name}": t for name, t in studio.model.state_dict().items()}
    return encode_model(studio.card, weights)


def clipboard_image(studio: Studio, scale: int = 8) -> QImage:
    """The large image as shown, enlarged."""
    trace = studio.trace
    picture = to_qimage(pixels(trace.image(studio.focus, studio.position), trace.spec))
    return picture.scaled(picture.width() * scale, picture.height() * scale, Qt.AspectRatioMode.KeepAspectRatio)
