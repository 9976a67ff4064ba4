"""Parts of transformers, for two or more models. Causal attention, over a whole sequence or from a memory:

    out_t = Σ_s softmax_s(q_t · k_s / √d) v_s         s ≤ t, or s < t if `strict`

Vaswani et al. 2017, section 3.2.1. Strict attention has nothing to attend to at t = 0 and gives 0 there: queries
1 … T−1 meet keys 0 … T−2 under the ordinary causal mask, so no row of the mask is empty and nothing can be NaN.

Shapes: q and k (B, heads, T, d), v (B, heads, T, e). At one place arrays do as well as tensors, see `layers.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arstudio.models.layers import Array, at_site

_seen: ContextVar[list[tuple[Tensor, Tensor, bool]] | None] = ContextVar("attention seen", default=None)


@contextmanager
def watched() -> Iterator[list[tuple[Tensor, Tensor, bool]]]:
    """(q, k, strict) of every `causal_attention` that this thread computes inside the block, in order."""
    found: list[tuple[Tensor, Tensor, bool]] = []
    token = _seen.set(found)
    try:
        yield found
    finally:
        _seen.reset(token)


def causal_attention(q: Tensor, k: Tensor, v: Tensor, *, strict: bool = False) -> Tensor:
    """What each query takes from the values at earlier places, (B, heads, T, e); with `strict` not from its own.

    Keys and values are brought to one width with zeros, which the kernels that keep no T × T matrix ask for.
    """
    seen = None if torch.compiler.is_compiling() else _seen.get()    # torch.compile knows no context variables
    if seen is not None:
        seen.append((q, k, strict))
    if strict:
        if q.shape[2] == 1:
            return torch.zeros_like(v)
        return F.pad(_attend(q[:, :, 1:], k[:, :, :-1], v[:, :, :-1]), (0, 0, 1, 0))
    return _attend(q, k, v)


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    key, value = q.shape[-1], v.shape[-1]
    if key != value:
        q, k, v = (F.pad(t, (0, max(key, value) - t.shape[-1])) for t in (q, k, v))
    scale = 1 / math.sqrt(key)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)[..., :value]


class Memory:
    """Keys and values of the places decoded so far, in tensors made once for a whole sequence.

    Going back needs no work: what lies at or after a place is written again before it is read.
    """

    def __init__(self, batch: int, heads: int, length: int, key: int, value: int, like: Tensor) -> None:
        self.tensors = [like.new_zeros(batch, heads, length, key), like.new_zeros(batch, heads, length, value)]

    @property
    def tensors(self) -> list[Tensor]:
        """Keys (B, heads, T, d) and values (B, heads, T, e)."""
        return self._tensors

    @tensors.setter
    def tensors(self, tensors: list[Tensor]) -> None:
        self._tensors = tensors
        self._keys, self._values = (at_site(t) for t in tensors)

    def write(self, place: int, k: Array, v: Array) -> None:
        """Remember k (B, heads, d) and v (B, heads, e) of one place."""
        self._keys[:, :, place] = k
        self._values[:, :, place] = v

    def write_at(self, images: Array, places: Array, k: Array, v: Array) -> None:
        """Remember k (N, heads, d) and v (N, heads, e) of (N,) places, each of one of (N,) images."""
        self._keys[images, :, places] = k
        self._values[images, :, places] = v

    def attend_at(self, images: np.ndarray, counts: np.ndarray, q: Array) -> Array:
        """What q (N, heads, d) take from the first `counts` (N,) places of their (N,) images, (N, heads, e).

        Images are in ascending order, and of one image the counts go up by one.
        """
        if len(images) == len(self._keys) and bool((counts == counts[0]).all()):    # one place of every image
            return self.attend(q, int(counts[0]))
        out = self._values[images, :, 0] * 0
        starts = np.flatnonzero(np.diff(images, prepend=-1))
        q = q * (1 / math.sqrt(q.shape[-1]))
        for start, end in zip(starts, [*starts[1:], len(images)], strict=True):
            image, first, last = images[start], counts[start], counts[end - 1]
            if last == 0:
                out[start:end] = 0
                continue
            scores = q[start:end].swapaxes(0, 1) @ self._keys[image, :, :last].swapaxes(1, 2)    # (heads, n, last)
            later = np.arange(first, last) >= np.arange(first, last + 1)[:, None]                # beyond a query's count
            scores[:, :, first:][:, later] = -np.inf
            if first == 0:
                scores[:, 0] = 0                                                                 # nothing is there yet
            weights = softmax(scores) if isinstance(scores, np.ndarray) else scores.softmax(-1)
            out[start:end] = (weights @ self._values[image, :, :last]).swapaxes(0, 1)
            if first == 0:
                out[start] = 0
        return out

    def run(self, some: slice | np.ndarray, first: int, q: Array, k: Array, v: Array) -> Array:
        """Remember k (R, T, heads, d) and v (R, T, heads, e) of a run of places of some images, `first` and after, and give
        what q (R, T, heads, d) take from their own place and all before, (R, T, heads, e)."""
        last = first + q.shape[1]
        self._keys[some, :, first:last] = k.swapaxes(1, 2)
        self._values[some, :, first:last] = v.swapaxes(1, 2)
        scores = (q * (1 / math.sqrt(q.shape[-1]))).swapaxes(1, 2) @ self._keys[some, :, :last].swapaxes(2, 3)
        later = np.arange(first, last) > np.arange(first, last)[:, None]
        scores[:, :, :, first:][:, :, later] = -np.inf                                         # (R, heads, T, last)
        weights = softmax(scores) if isinstance(scores, np.ndarray) else scores.softmax(-1)
        return (weights @ self._values[some, :, :last]).swapaxes(1, 2)

    def attend(self, q: Array, count: int) -> Array:
        """What q (B, heads, d) takes from the first `count` places, (B, heads, e); zeros if there are none."""
        if count == 0:
            return self._values[:, :, 0] * 0
        scores = (self._keys[:, :, :count] @ (q * (1 / math.sqrt(q.shape[-1])))[..., None])[..., 0]
        weights = softmax(scores) if isinstance(q, np.ndarray) else scores.softmax(-1)
        return (weights[..., None, :] @ self._values[:, :, :count])[..., 0, :]


class Remembering:
    """For decoders that attend: `memories` are the tensors of the `memory` of every layer, keys (B, heads, places, d) and
    values (B, heads, places, e) in turn."""

    memory: list[Memory]

    @property
    def memories(self) -> list[Tensor]:
        """What rows of a batch are chosen of and copied to."""
        return [t for memory in self.memory for t in memory.tensors]

    @memories.setter
    def memories(self, tensors: list[Tensor]) -> None:
        for i, memory in enumerate(self.memory):
            memory.tensors = tensors[2 * i:2 * i + 2]


def softmax(scores: np.ndarray) -> np.ndarray:
    """Softmax over the last dimension of an array, which is overwritten."""
    scores -= np.maximum.reduce(scores, -1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= np.add.reduce(scores, -1, keepdims=True)
    return scores


class Norm(nn.LayerNorm):
    """Layer normalisation of tensors and, at one place, of arrays."""

    def forward(self, x: Array) -> Array:
        if not isinstance(x, np.ndarray):
            return super().forward(x)
        x = x - x.dot(self.mean)[..., None]
        x *= (1 / np.sqrt((x * x).dot(self.mean) + self.eps))[..., None]
        x *= self.gain
        x += self.shift
        return x

    def fold_mask(self) -> None:
        """Prepare a frozen copy for arrays."""
        if self.weight.device.type == "cpu":
            self.gain, self.shift = self.weight.numpy(), self.bias.numpy()
            self.mean = np.full_like(self.gain, 1 / len(self.gain))


def gelu(x: Array) -> Array:
    """x Φ(x) in the tanh form of GPT-2: x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2."""
    if not isinstance(x, np.ndarray):
        return F.gelu(x, approximate="tanh")
    z = x * x
    z *= 0.044715 * math.sqrt(2 / math.pi)
    z += math.sqrt(2 / math.pi)
    z *= x
    np.tanh(z, out=z)
    z += 1
    z *= x
    z *= 0.5
    return z
