"""The incremental evaluator: a cursor over the sites of a batch of images, in the model's order.

It gives the parameters of the next site and takes the value chosen there, exactly as `forward` has them. Samplers and
completion know models by this alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from arstudio.models.layers import at_site

if TYPE_CHECKING:
    from arstudio.models.base import AutoregressiveModel

Method = TypeVar("Method", bound=Callable[..., Any])


def inferring(method: Method) -> Method:
    """A method that runs in torch's inference mode, which is entered only if it must be: that costs more than a small site."""

    @wraps(method)
    def inferred(*args: Any) -> Any:
        if torch.is_inference_mode_enabled():
            return method(*args)
        with torch.inference_mode():
            return method(*args)

    return inferred


class Decoder:
    """A cursor over the sites of a batch of images, in the model's order.

    `params()` gives the parameters of the next site; `push(value)` tells the value chosen there and moves on.
    Subclasses name the tensors and lists of tensors that have a row per image in `batched`, and plain numbers
    in `counters`; select, snapshot and restore treat those alike.

    A decoder that can take many pixels at once, with values guessed, says how many by `block` and has `enter` and `look`;
    samplers that use those write values and guesses into `x` and leave the cursor alone.
    """

    batched: tuple[str, ...] = ("x",)
    counters: tuple[str, ...] = ("position",)
    block: int = 0    # pixels, in drawing order, that `look` takes together: block i is i · block … (i + 1) · block − 1

    def __init__(self, model: AutoregressiveModel, batch: int, y: Tensor | int | None = None) -> None:
        if batch < 1:
            raise ValueError(f"A decoder needs at least one image, not {batch}.")
        self.model = model.frozen()
        self.spec = model.spec
        self.classes = self.model.class_index(y, batch)
        self.batched = (*type(self).batched, "classes")
        kind = torch.long if model.spec.levels else model.dtype
        self.x = torch.zeros(batch, *model.spec.shape, dtype=kind, device=model.device)
        self.position = 0
        self._where = list(zip(*(part.tolist() for part in np.divmod(model.order.pixels, model.spec.width)), strict=True))

    @property
    def batch(self) -> int:
        """Number of images being drawn."""
        return len(self.x)

    def site(self) -> tuple[int, int, int]:
        """(channel, row, column) of the next site. Raises IndexError when the images are complete."""
        if self.position >= self.spec.sites:
            raise IndexError("Every site has been drawn.")
        pixel, channel = divmod(self.position, self.spec.channels)
        return channel, *self._where[pixel]

    @inferring
    def params(self) -> Tensor:
        """(B, P) parameters of the distribution of the next site, given everything pushed so far."""
        return self._params(*self.site())

    @inferring
    def push(self, value: Tensor) -> None:
        """Give the (B,) levels of the next site and move the cursor past it."""
        channel, row, column = self.site()
        self._push(value, channel, row, column)
        at_site(self.x)[:, channel, row, column] = at_site(value)
        self.position += 1

    def follow(self, values: Tensor) -> Tensor:
        """Push the (B, k) given values of the next k sites -> (B, k, P) their parameters. The same as k times `params` and
        `push`, in less time where a decoder can take several sites together."""
        found = []
        for value in values.unbind(1):
            found.append(self.params())
            self.push(value)
        return torch.stack(found, 1)

    def _params(self, channel: int, row: int, column: int) -> Tensor:
        raise NotImplementedError

    def _push(self, value: Tensor, channel: int, row: int, column: int) -> None:
        """Update caches for the value about to be written at the cursor."""

    def enter(self, images: np.ndarray, block: int) -> None:
        """Make ready for `look` into a block of some images, (R,) indices in ascending order: in `x` all their pixels before
        the block are final. Threads may do this, and `look`, at the same time for different images."""
        raise NotImplementedError

    def look(self, images: np.ndarray, pixels: np.ndarray) -> Tensor:
        """Evaluate (N,) pixels, counted in drawing order, of (N,) images, given what `x` holds before each, final or guessed
        -> (N, C, P) parameters, right wherever everything before is.

        The images are sorted, and each was made ready for the one block that all the pixels lie in; its pixels follow one
        another. A pixel of the block before its first was looked at before, with the same values before it in `x`.
        """
        raise NotImplementedError

    def visit(self, images: np.ndarray, pixels: np.ndarray) -> Tensor:
        """Evaluate (N,) pixels of (N,) images, anywhere, of models with a `lag` -> (N, C, P) parameters. What the model sees
        of each image before them was visited before, and its values told."""
        raise NotImplementedError

    def tell(self, images: np.ndarray, pixels: np.ndarray, channel: int, values: np.ndarray) -> None:
        """Give the (N,) levels of one channel of pixels visited."""
        raise NotImplementedError

    def select(self, index: Tensor) -> None:
        """Keep, drop or repeat images: row i becomes what row index[i] was. The batch size may change."""
        for name in self.batched:
            value = getattr(self, name)
            setattr(self, name, [t[index] for t in value] if isinstance(value, list) else value[index])

    def resample(self, index: Tensor) -> None:
        """`select` for particles, which go on and hardly ever back: features that no later site reads may be given up, so
        that going back before this moment takes a replay from the first site."""
        self.select(index)

    def snapshot(self) -> dict[str, Any]:
        """A copy of the state, to `restore` later. Later pushes do not change it."""
        state: dict[str, Any] = {name: getattr(self, name) for name in self.counters}
        for name in self.batched:
            value = getattr(self, name)
            state[name] = [t.clone() for t in value] if isinstance(value, list) else value.clone()
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Return to a snapshot, which stays usable."""
        for name in self.counters:
            setattr(self, name, state[name])
        for name in self.batched:
            value = state[name]
            setattr(self, name, [t.clone() for t in value] if isinstance(value, list) else value.clone())

    @torch.inference_mode()
    def rewind(self, position: int) -> None:
        """Go back to an earlier position; what was pushed before it is kept.
        Raises ValueError if it is not earlier."""
        if not 0 <= position <= self.position:
            raise ValueError(f"Cannot rewind from site {self.position} to {position}.")
        start = self._restart(position)
        x = self.x.flatten(1)
        values = x[:, self.model.site_index[start:position]]
        x[:, self.model.site_index[start:]] = 0
        self.position = start
        for t in range(position - start):
            self.push(values[:, t])

    def _restart(self, position: int) -> int:
        """Bring caches to a position ≤ `position` from which replaying pushes is cheap, and return it."""
        raise NotImplementedError


class NaiveDecoder(Decoder):
    """One full `forward` a site: no caches, nothing to get wrong; D passes for D sites. One block: the whole image."""

    def __init__(self, model: AutoregressiveModel, batch: int, y: Tensor | int | None = None) -> None:
        super().__init__(model, batch, y)
        self.block = self.spec.pixels

    def enter(self, images: np.ndarray, block: int) -> None:
        """There is nothing to make ready."""

    @inferring
    def look(self, images: np.ndarray, pixels: np.ndarray) -> Tensor:
        some, place = np.unique(images, return_inverse=True)
        params = self._forward(torch.from_numpy(some).to(self.x.device)).flatten(2).transpose(1, 2)    # (R, C·H·W, P)
        sites = self.model.site_index.view(-1, self.spec.channels)[torch.from_numpy(pixels).to(self.x.device)]
        return params[torch.from_numpy(place).to(self.x.device)[:, None], sites]

    def _forward(self, images: Tensor | slice) -> Tensor:
        none, classes = self.model.num_classes, self.classes[images]
        return self.model(self.x[images], torch.where(classes == none, -1, classes))

    def _params(self, channel: int, row: int, column: int) -> Tensor:
        return self._forward(slice(None))[:, :, channel, row, column]

    def _restart(self, position: int) -> int:
        return position
