"""What a model says of a whole image, kept so that a click need not wait for a forward pass.

One pass gives every conditional of an image, each given only the sites before it. `Readings` keeps the last of them and
never answers from another model, image or class: its key is made of the weights' bytes, the model's configuration and
order, the image's bytes and the class. A checksum of four million weights takes 4 ms, a lookup in a dictionary nothing.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from arstudio.analysis.conditionals import Conditional, as_batch, check_site, conditional_of, value_at
from arstudio.analysis.maps import ImageMaps, maps_of
from arstudio.models.base import AutoregressiveModel
from arstudio.sampling.trace import KNOWN, Trace

Key = tuple
COLUMNS = 1024    # of the table in `checksum`


@dataclass(frozen=True, eq=False)
class Reading:
    """Every conditional of one image: `x` (C, H, W), hidden sites anywhere, `params` (P, C, H, W) float64.

    What is said of a site holds if no site before it is hidden.
    """

    model: AutoregressiveModel
    x: np.ndarray
    params: Tensor

    def at(self, site: tuple[int, int, int]) -> Conditional:
        """The conditional at (channel, row, column). Raises ImageError if the site lies outside the image."""
        check_site(self.model.spec, site)
        return conditional_of(self.model, self.params[:, site[0], site[1], site[2]], value_at(self.x, site), site)

    def maps(self) -> ImageMaps:
        """Surprise, entropy and the rest of the image."""
        return maps_of(self.model, self.params, self.x)

    def trace(self, y: int = -1) -> Trace:
        """The reading as if the image had just been drawn, pixel by pixel, with values given instead of chosen."""
        spec, likelihood = self.model.spec, self.model.likelihood
        trace = Trace(spec, self.model.order, 1)
        trace.classes[:] = y
        in_order = self.params.flatten(1).T[torch.from_numpy(trace.sites)]                  # (D, P)
        values = torch.from_numpy(np.ascontiguousarray(self.x).reshape(-1)[trace.sites])
        log_pmf = likelihood.log_pmf(in_order)                                              # (D, L)
        pmf = log_pmf.exp()
        trace.values[0] = values.numpy()
        trace.log_probs[0] = likelihood.log_prob(in_order, values).numpy()
        trace.entropies[0] = -(pmf * log_pmf.clamp(min=-1e30)).sum(1).numpy()
        trace.origin[:] = KNOWN
        if len(trace.pmfs):
            trace.pmfs[0] = pmf.numpy()
        trace.cursor = spec.sites
        return trace


@torch.inference_mode()
def read(model: AutoregressiveModel, x: np.ndarray, y: int | None = None) -> Reading:
    """Every conditional of image x (C, H, W) of class y (None or −1: none), from one forward pass. Raises SpecMismatch
    if x does not fit the model."""
    model.spec.check(x)
    x = np.array(x)
    return Reading(model, x, model(as_batch(model, x), y)[0].cpu().double())


def fingerprint(model: AutoregressiveModel) -> Key:
    """What the model's answers depend on besides the image: configuration, order, and a checksum of each tensor."""
    tensors = [t.detach().cpu().contiguous() for t in (*model.parameters(), *model.buffers())]
    sums = tuple(checksum(t.reshape(-1).view(torch.uint8).numpy()) for t in tensors)
    return model.name, model.spec, model.config, model.order, str(model.dtype), sums


def checksum(data: np.ndarray) -> int:
    """Of (n,) bytes, laid out as a table of 64-bit numbers: the CRC of the sums of its rows and of the XOR of its columns.
    Any other value in one place shows, two that changed places do, and it is read as fast as memory allows; a CRC of all
    bytes takes four times as long."""
    table = data[:len(data) // (8 * COLUMNS) * 8 * COLUMNS].view(np.uint64).reshape(-1, COLUMNS)
    known = zlib.crc32(data[table.nbytes:])
    if len(table):
        known = zlib.crc32(np.bitwise_xor.reduce(table, axis=0), zlib.crc32(table.sum(1), known))
    return known


def key_of(model: AutoregressiveModel, x: np.ndarray, y: int | None) -> Key:
    """What identifies a reading."""
    return fingerprint(model), str(x.dtype), x.shape, x.tobytes(), -1 if y is None else int(y)


class Readings:
    """The last readings, as many as fit in `most_bytes`; the least recently used goes first. For one thread."""

    def __init__(self, most_bytes: int = 64_000_000) -> None:
        self.most_bytes = most_bytes
        self._kept: OrderedDict[Key, Reading] = OrderedDict()

    def get(self, key: Key) -> Reading | None:
        """The reading of a key, if it is kept."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def keep(self, key: Key, reading: Reading) -> None:
        """Keep a reading; the newest stays whatever its size."""
        self._kept[key] = reading
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and self.bytes > self.most_bytes:
            self._kept.popitem(last=False)

    @property
    def bytes(self) -> int:
        """Memory held by parameters."""
        return sum(r.params.numel() * r.params.element_size() for r in self._kept.values())

    def __len__(self) -> int:
        return len(self._kept)
