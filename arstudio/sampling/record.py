"""A drawing as a file: everything of a Trace but the distributions, and what is to be known of it, in one `.safetensors`.

Numbers and JSON only: reading one never runs code. The distributions are left out because a forward pass gives them again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from arstudio.image import ImageSpec
from arstudio.models.modelfile import ModelFileError, read_metadata
from arstudio.models.orders import Order
from arstudio.sampling.trace import Trace

KEY, FORMAT = "arstudio-drawing", 1
ARRAYS = ("values", "log_probs", "entropies", "origin", "classes")


class RecordError(ValueError):
    """A file that holds no drawing; the message says what is wrong with it."""


def encode(trace: Trace, about: dict[str, Any]) -> bytes:
    """A trace and a JSON object about it -> bytes of a record."""
    from safetensors.numpy import save

    order = {"kind": trace.order.kind, "seed": trace.order.seed, "permutation": list(trace.order.permutation)}
    header = {"format": FORMAT, "spec": trace.spec.to_dict(), "order": order, "cursor": trace.cursor, "about": about}
    arrays = {name: np.ascontiguousarray(getattr(trace, name)) for name in ARRAYS}
    return save(arrays, {KEY: json.dumps(header)})


def read_about(path: str | Path) -> dict[str, Any]:
    """What is to be known of the drawing in a file. Raises RecordError, one sentence, if it holds none."""
    return _header(Path(path))["about"]


def read_trace(path: str | Path) -> Trace:
    """The drawing in a file, without distributions. Raises RecordError, one sentence, if it holds none."""
    from safetensors.numpy import load_file

    path = Path(path)
    header = _header(path)
    try:
        spec = ImageSpec(**header["spec"])
        order = Order(header["order"]["kind"], spec.height, spec.width, header["order"]["seed"],
                      tuple(header["order"]["permutation"]))
        arrays = load_file(path)
        trace = Trace(spec, order, len(arrays["values"]), pmf_bytes=0)
        for name in ARRAYS:
            expected = getattr(trace, name)
            if arrays[name].shape != expected.shape or arrays[name].dtype != expected.dtype:
                raise ValueError(f"{name} has the shape {arrays[name].shape}")
            setattr(trace, name, arrays[name])
        trace.cursor = min(max(int(header["cursor"]), 0), spec.sites)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise RecordError(f"{path.name} is a damaged drawing ({str(error).rstrip('.')}).") from None
    return trace


def _header(path: Path) -> dict[str, Any]:
    try:
        text = read_metadata(path).get(KEY)
        header = json.loads(text) if text else None
    except ModelFileError as error:
        raise RecordError(str(error)) from None
    except ValueError:
        header = None
    if not isinstance(header, dict) or not isinstance(header.get("about"), dict):
        raise RecordError(f"{path.name} holds no drawing of AR Studio.")
    if header.get("format") != FORMAT:
        raise RecordError(f"{path.name} was written by a newer AR Studio; update AR Studio to open it.")
    return header
