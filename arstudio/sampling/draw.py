"""One decision: from a distribution and one uniform number to a value, the same whichever sampler asks.

Every site of every image owns one uniform u, drawn from the seed before anything else; the value is the
inverse CDF at u. Naive, incremental and parallel samplers therefore return the same pixels. Their float32
parameters differ in the last bits, though, and u may fall between two such CDFs. Whenever u lies within
`REFER` of a step of the CDF (or a truncation is that close to keeping another value), the site is *referred*:
its parameters are computed again in float64 by `conditional`, which all samplers share;
`Referee.referred` counts them.

Reals are drawn in two steps with the one u: the settings and the inverse CDF choose one of the likelihood's bins,
and the rest of u a cell of a grid of 2⁻²⁰ inside it, by the inverse CDF of the mixture restricted to the bin. At T = 1
that is the inverse CDF of the mixture itself; the outermost bins reach beyond [0, 1], and so may a value. Models of
reals draw in float64, and u within `REFER_REAL` of the edge of a cell is referred.

Guidance (Ho & Salimans 2022, "Classifier-Free Diffusion Guidance", taken to a site's conditional) sharpens
what a class adds: log p_w = (1 + w) log p(x_t | x_<t, y) − w log p(x_t | x_<t) + constant.

Source of the shared-noise idea: Song et al. 2021, "Accelerating Feedforward Computation via Parallel
Nonlinear Equation Solving".
"""

from __future__ import annotations

import copy
import math
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from arstudio.models.base import AutoregressiveModel
from arstudio.models.likelihoods import FAR, Mixture, log_softmax

REFER = 1e-5
REFER_REAL = 1e-9      # the same for reals, whose parameters are float64
GRID = 2**20           # cells a unit in which reals are drawn: 4096 in each of the 256 bins
LEAST = -700.0         # log-probabilities are not taken apart below this, nats
PARTS = 16             # cells compared at once when a real is looked for
FAR_CELL = int(FAR / 2) * GRID


class SettingsError(ValueError):
    """Sampling settings that make no distribution; the message says which and what they may be."""


@dataclass(frozen=True, kw_only=True)
class SampleSettings:
    """Temperature divides log-probabilities (0: always the most probable value); top_k keeps that many values
    (0: all); top_p keeps the fewest most probable values that hold at least this much probability
    (1: all); guidance is w, how far to go beyond the class-conditional model (0: not at all), and acts first."""

    seed: int = 0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    guidance: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.temperature <= 100 and math.isfinite(self.temperature)):
            raise SettingsError(f"temperature must be between 0 and 100, not {self.temperature}.")
        if self.top_k < 0:
            raise SettingsError(f"top_k must be 0 (keep all) or more, not {self.top_k}.")
        if not 0 < self.top_p <= 1:
            raise SettingsError(f"top_p must be above 0 and at most 1, not {self.top_p}.")
        if not 0 <= self.guidance <= 100:
            raise SettingsError(f"guidance must be between 0 (off) and 100, not {self.guidance}.")
        if not -(2**63) <= self.seed < 2**63:
            raise SettingsError(f"seed must fit 64 bits, not {self.seed}.")


def noise(count: int, sites: int, seed: int) -> np.ndarray:
    """(count, sites) float64 uniforms in [0, 1). Image i is the same however many images are asked for."""
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.rand(sites, generator=generator, dtype=torch.float64) for _ in range(count)]
    return torch.stack(rows).numpy()


def guide(log_pmf: np.ndarray, without: np.ndarray, weight: float) -> np.ndarray:
    """(B, L) log-probabilities with the class and without it -> (B, L) guided ones, normalised. Weight 0 is the first."""
    more = (1 + weight) * log_pmf - weight * np.maximum(without, LEAST)
    return log_softmax(np.where(log_pmf < LEAST, -np.inf, more))


def reshape(log_pmf: np.ndarray, settings: SampleSettings) -> tuple[np.ndarray, np.ndarray | float]:
    """(B, L) float64 model log-probabilities -> (B, L) probabilities to draw from, and (B,) how near a truncation
    came to another choice (in nats; infinite without truncation). Temperature, then top-k, then top-p."""
    levels, margin = log_pmf.shape[1], math.inf
    if settings.temperature == 0:
        ranked = np.sort(log_pmf, axis=1)
        pmf = np.zeros_like(log_pmf)
        np.put_along_axis(pmf, log_pmf.argmax(1)[:, None], 1.0, axis=1)
        return pmf, ranked[:, -1] - ranked[:, max(levels - 2, 0)]
    if settings.temperature != 1:
        with np.errstate(over="ignore"):
            log_pmf = (log_pmf - log_pmf.max(1, keepdims=True)) / settings.temperature    # the best stays finite
    if 0 < settings.top_k < levels:
        order = np.argsort(-log_pmf, axis=1, kind="stable")
        ranked = np.take_along_axis(log_pmf, order, 1)
        with np.errstate(invalid="ignore"):    # −∞ from −∞: two values that cannot be, no matter which is kept
            margin = np.nan_to_num(ranked[:, settings.top_k - 1] - ranked[:, settings.top_k], nan=math.inf, posinf=math.inf)
        log_pmf = log_pmf.copy()
        np.put_along_axis(log_pmf, order[:, settings.top_k:], -math.inf, axis=1)
    pmf = np.exp(log_pmf - log_pmf.max(1, keepdims=True))
    pmf /= pmf.sum(1, keepdims=True)
    if settings.top_p < 1:
        order = np.argsort(-pmf, axis=1, kind="stable")
        ranked = np.take_along_axis(pmf, order, 1)
        before = ranked.cumsum(1) - ranked
        margin = np.minimum(margin, np.abs(before - settings.top_p).min(1))
        kept = np.minimum((before < settings.top_p).sum(1, keepdims=True), levels - 1)
        last, first = (np.take_along_axis(ranked, k, 1)[:, 0] for k in (kept - 1, kept))
        margin = np.minimum(margin, np.where(last > REFER / 10, last - first, math.inf))
        beyond = np.zeros(pmf.shape, dtype=bool)
        np.put_along_axis(beyond, order, before >= settings.top_p, axis=1)
        pmf[beyond] = 0.0
        pmf /= pmf.sum(1, keepdims=True)
    return pmf, margin


def decide(pmf: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(B, L) float64 probabilities and (B,) uniforms -> (B,) values by the inverse CDF, (B,) distance of u to
    the nearest step of the CDF that would change the value."""
    value, cdf, u = invert(pmf, u)
    if pmf.shape[1] == 1:
        return value, np.full(len(u), math.inf)
    return value, np.abs(cdf[:, :-1] - u).min(1)


def invert(pmf: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(B, L) probabilities and (B,) uniforms -> (B,) values by the inverse CDF, the (B, L) CDF, and (B, 1) u as it was compared
    with that."""
    cdf = pmf.cumsum(1)
    u = u[:, None] * cdf[:, -1:]
    value = (cdf <= u).sum(1)
    if value.max() >= pmf.shape[1] - 1:    # rounding may have led past the last value that can be
        value = np.minimum(value, pmf.shape[1] - 1 - (pmf[:, ::-1] > 0).argmax(1))
    return value, cdf, u


def decide_real(
    pmf: np.ndarray, log_pmf: np.ndarray, u: np.ndarray, likelihood: Mixture, params: np.ndarray, *, middle: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """(B, bins) float64 probabilities to draw from and (B, bins) log masses of the mixture, (B,) uniforms, (B, 3K)
    parameters -> (B,) reals on the grid, (B,) distance of u to the nearest u that gives another one.

    `middle` takes the median of the bin, whatever u: temperature 0.
    """
    bins = likelihood.bins
    k = torch.from_numpy(decide(pmf, u)[0])
    pmf, log_pmf, u, params = (torch.from_numpy(part) for part in (pmf, log_pmf, u, params))
    cdf = pmf.cumsum(1)
    mass = pmf.gather(1, k[:, None])[:, 0]
    rest = (u * cdf[:, -1] - (cdf.gather(1, k[:, None])[:, 0] - mass)) / mass
    share = torch.full_like(rest, 0.5) if middle else rest.clamp(0.0, 1.0)
    inside = log_pmf.gather(1, k[:, None])[:, 0]
    left = torch.where(k == 0, -FAR_CELL, k * (GRID // bins))
    right = torch.where(k == bins - 1, FAR_CELL, (k + 1) * (GRID // bins))
    bottom = likelihood.edges(params)[k]
    parts = torch.arange(1, PARTS, device=k.device)
    below, above = torch.zeros_like(share), torch.ones_like(share)    # shares of the bin left of `left` and `right`
    while len(rows := (right - left > 1).nonzero()[:, 0]):            # the outermost bins take longer than the others
        ends = left[rows, None] + (right - left)[rows, None] * parts // PARTS                 # (R, PARTS − 1)
        z = ends.to(params.dtype) * (2.0 / GRID) - 1.0
        low = bottom[rows, None].expand_as(z)
        masses = likelihood.log_mass(params[rows, :, None].expand(-1, -1, PARTS - 1), low, torch.maximum(z, low + 1e-15))
        shares = torch.where(z > low, (masses - inside[rows, None]).exp().clamp(max=1.0), 0.0)
        place = (shares <= share[rows, None]).sum(1, keepdim=True)                            # parts wholly to the left
        ends = torch.cat([left[rows, None], ends, right[rows, None]], dim=1)
        shares = torch.cat([below[rows, None], shares, above[rows, None]], dim=1)
        left[rows], right[rows] = ends.gather(1, place)[:, 0], ends.gather(1, place + 1)[:, 0]
        below[rows], above[rows] = shares.gather(1, place)[:, 0], shares.gather(1, place + 1)[:, 0]
    distance = torch.minimum(share - below, above - share).clamp(min=0) * mass
    return (left.to(params.dtype) / GRID).numpy(), distance.numpy()


class Referee:
    """The float64 copy of a model that settles decisions too close to call, one at a time. Made when first needed."""

    def __init__(self, model: AutoregressiveModel) -> None:
        self._source = model
        self._model: AutoregressiveModel | None = None
        self._lock = threading.Lock()
        self.referred = 0

    def params(self, x: Tensor, classes: Tensor, site: tuple[int, int, int], *, guided: bool = False) -> Tensor:
        """(B, C, H, W) values known so far and (B,) class rows -> (B, P) float64 parameters at `site`; if `guided`
        (2B, P), those without a class behind."""
        with self._lock:    # two threads would overwrite each other's layers
            if self._model is None:
                self._model = _wide(self._source)
            self.referred += len(x)
            model = self._model
            y = torch.where(classes == model.num_classes, -1, classes).to(model.device)
            if guided:
                x, y = torch.cat([x, x]), torch.cat([y, torch.full_like(y, -1)])
            return model.conditional(x.to(model.device), y, site)


def _wide(model: AutoregressiveModel) -> AutoregressiveModel:
    """A float64 copy for evaluation, on the CPU where the device has no float64, without one of float32 in between. Its
    lists of layers are copied layer by layer, each when it is asked for."""
    device = torch.device("cpu") if model.device.type == "mps" else model.device
    return _widened(model, device).eval().double()


def _widened(module: nn.Module, device: torch.device) -> nn.Module:
    lists = {id(part): _Layers(part, device) for part in module.modules() if type(part) is nn.ModuleList and len(part)}
    later = {id(t) for layers in lists.values() for layer in layers.narrow for t in (*layer.parameters(), *layer.buffers())}
    known: dict[int, object] = {**lists}
    for t in (*module.parameters(), *module.buffers()):
        if id(t) in later:
            continue
        wide = _widened_tensor(t, device)
        known[id(t)] = nn.Parameter(wide, requires_grad=False) if isinstance(t, nn.Parameter) else wide
    return copy.deepcopy(module, known)


def _widened_tensor(narrow: Tensor, device: torch.device) -> Tensor:
    order = torch.channels_last if narrow.dim() == 4 else torch.preserve_format    # convolutions would order them every time
    return narrow.detach().to(device, torch.float64 if narrow.is_floating_point() else narrow.dtype, memory_format=order)


class _Layers(nn.ModuleList):
    """Layers that are widened one at a time: all of them would take twice the memory of the weights. Memory of a layer that
    nobody holds any more is written anew, as taking fresh memory costs more than widening."""

    def __init__(self, layers: nn.ModuleList, device: torch.device) -> None:
        super().__init__()
        object.__setattr__(self, "narrow", list(layers))    # no parts of this module, so that nothing converts them
        self.device = device
        self._rooms: dict[torch.Size, list[tuple[Tensor, weakref.ref[Tensor]]]] = {}    # and who had them last

    def __len__(self) -> int:
        return len(self.narrow)

    def __getitem__(self, index: int) -> nn.Module:
        layer = self.narrow[index]
        known = {id(t): self._wide(t) for t in (*layer.parameters(), *layer.buffers())}
        return _twin(layer, known)

    def __iter__(self) -> Iterator[nn.Module]:
        return (self[i] for i in range(len(self)))

    def _wide(self, narrow: Tensor) -> Tensor:
        if not narrow.is_floating_point() or narrow.dtype == torch.float64:
            return narrow.to(self.device)
        rooms = self._rooms.setdefault(narrow.shape, [])
        free = next((i for i, (_, last) in enumerate(rooms) if last() is None), len(rooms))
        room = rooms[free][0].copy_(narrow) if free < len(rooms) else _widened_tensor(narrow, self.device)
        given = room.detach()
        rooms[free:free + 1] = [(room, weakref.ref(given))]
        return given


def _twin(module: nn.Module, known: dict[int, Tensor]) -> nn.Module:
    """A module with other tensors in the places of those `known` by their id; all else it shares. A copy of a layer takes
    longer than what the layer does."""
    twin = module.__new__(type(module))
    for name, value in module.__getstate__().items():       # without what a frozen layer has prepared
        if isinstance(value, list):                         # a recurrent layer keeps its weights twice
            value = [known.get(id(part), part) for part in value]
        twin.__dict__[name] = value
    for name in ("_parameters", "_buffers"):
        twin.__dict__[name] = {key: known.get(id(t), t) for key, t in vars(module)[name].items()}
    twin.__dict__["_modules"] = {key: part and _twin(part, known) for key, part in vars(module)["_modules"].items()}
    return twin
