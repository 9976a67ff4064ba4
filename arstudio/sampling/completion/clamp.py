"""Clamping: the model's order, known sites keep their value, hidden ones are drawn from p(x_t | x_<t).

Each hidden site is conditioned on what comes before it, known or drawn; known sites that come later are ignored by it.
With everything known lying before everything hidden (hide the bottom half, raster order) nothing is ignored, and
clamping is exact. A model of any order can always have it so: `exact_model` gives it an order with the known sites first.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from arstudio.image import ImageError
from arstudio.models.base import AutoregressiveModel
from arstudio.sampling.completion.result import Completion
from arstudio.sampling.draw import SampleSettings, SettingsError
from arstudio.sampling.jacobi import JacobiSampler
from arstudio.sampling.sampler import Sampler


def ignored_pixels(model: AutoregressiveModel, known: np.ndarray) -> int:
    """How many known pixels of a (H, W) mask come after the first hidden pixel in the model's order."""
    flags = known.reshape(-1)[model.order.pixels]
    hidden = np.flatnonzero(~flags)
    return int(flags[hidden[0]:].sum()) if len(hidden) else 0


def clamp_sentence(known: np.ndarray, ignored: int) -> str:
    """Explain clamping for a (H, W) known mask, `ignored` of whose known pixels come after a hidden one."""
    given = int(known.sum())
    if ignored == 0:
        return (
            f"Clamping: all {given} known pixels come before the first hidden one in the model's order, "
            "so every completion is an exact draw given all of them."
        )
    return (
        "Clamping: each hidden pixel follows the pixels before it in the model's order. "
        f"{ignored} of the {given} known pixels come after a hidden one and do not influence it."
    )


def exact_model(model: AutoregressiveModel, known: np.ndarray) -> AutoregressiveModel:
    """The model in an order that has the (H, W) known pixels before all others: itself, or reordered where it can be.

    Raises SettingsError for a model of one order in which some known pixels come after a hidden one.
    """
    ignored = ignored_pixels(model, known)
    if ignored == 0:
        return model
    if model.any_order:
        return model.reordered(model.completion_order(known))
    raise SettingsError(
        f"{model.title} draws in one order, and {ignored} known pixels come after a hidden one, so there is no exact "
        "completion; choose particles."
    )


@torch.inference_mode()
def hidden_log_prob(
    model: AutoregressiveModel, x: np.ndarray, known: np.ndarray, y: Tensor | int | None = None
) -> np.ndarray:
    """x (B, C, H, W) and one (H, W) mask of known pixels -> (B,) nats Σ log p(x_t | x_<t) of the hidden sites.

    Under `exact_model` this is log p(hidden | known); under any other order it is what clamping gives them.
    """
    sites = model.log_prob_sites(torch.from_numpy(np.ascontiguousarray(x)).to(model.device), y)
    hidden = torch.from_numpy(~np.broadcast_to(known, model.spec.shape)).to(model.device)
    return (sites.double() * hidden).flatten(1).sum(1).cpu().numpy()


class Completer(Sampler):
    """A Sampler that keeps the known pixels of x (C, H, W); known is (H, W) bool. This class clamps site by site, which under
    `exact_model` is exact.

    `kind` is "clamp", "exact" or "particles", `reason` why it was chosen, `trace` the images as they fill in; run it, stop
    it, and `finish` gives what is there. Raises ImageError for an empty task, SpecMismatch for values there are not.
    """

    divisible = False    # completions are compared and ranked as one
    way = "incremental"

    def __init__(
        self, model: AutoregressiveModel, x: np.ndarray, known: np.ndarray, count: int, settings: SampleSettings,
        y: Tensor | int | None = None, *, kind: str = "clamp", reason: str = "",
    ) -> None:
        model.spec.check(x)
        known = np.asarray(known, dtype=bool)
        if known.shape != x.shape[1:]:
            raise ImageError(f"The mask is {known.shape} but the image is {x.shape[1:]} pixels.")
        if known.all():
            raise ImageError("Nothing is hidden: paint over the part of the picture to be completed.")
        super().__init__(model, settings, count, y, x=x, known=known, method=self.way)
        self.content, self.known, self.kind, self.reason = np.asarray(x), known, kind, reason
        self.ignored = ignored_pixels(model, known)
        self.is_given = np.broadcast_to(known, model.spec.shape).reshape(-1)[self.trace.sites]    # by step

    def finish(self) -> Completion:
        """The Completion, also of a run that was stopped: hidden sites it did not reach are hidden in `images`."""
        trace, end = self.trace, self.trace.cursor
        drawn = ~self.is_given[:end]
        log_prob = trace.log_probs[:, :end][:, drawn].sum(1)
        return Completion(
            trace, self._images(), log_prob, self.known, self.ignored, self.kind, self._sentence(), self.reason
        )

    def _images(self) -> np.ndarray:
        """(N, C, H, W) int64 or float64: what is known everywhere, what was drawn up to the cursor."""
        images = self.trace.images().astype(np.int64 if self.trace.spec.levels else np.float64)
        return np.where(self.known, self.content.astype(images.dtype), images)

    def _sentence(self) -> str:
        if self.kind == "clamp":
            return clamp_sentence(self.known, self.ignored)
        given = int(self.known.sum())
        return (
            f"Exact: all {given} known pixels come before the hidden ones in the order used, so every completion is an "
            "exact draw given all of them."
        )


class BlockCompleter(Completer, JacobiSampler):
    """The same in blocks, for models that can be drawn so."""

    way = "blocks"
