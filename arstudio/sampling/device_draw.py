"""The decision of `draw.py` in torch, for drawing without leaving a device: fixed shapes, no question to the device.

The same float64 formulas with the same margins. A value can only differ from the host's where the last bits of a sum decide,
and there both call the decision close, so that the one referee takes it; the tests hold each function to its twin.
"""

from __future__ import annotations

import torch
from torch import Tensor

from arstudio.sampling.draw import LEAST, REFER, SampleSettings


def guide(log_pmf: Tensor, without: Tensor, weight: float) -> Tensor:
    """(…, L) log-probabilities with the class and without it -> (…, L) guided ones; see `draw.guide`."""
    more = (1 + weight) * log_pmf - weight * without.clamp(min=LEAST)
    return more.masked_fill(log_pmf < LEAST, -torch.inf).log_softmax(-1)


def reshape(log_pmf: Tensor, settings: SampleSettings) -> tuple[Tensor, Tensor]:
    """(…, L) float64 log-probabilities -> (…, L) probabilities to draw from, and (…) how near a truncation came to another
    choice; see `draw.reshape`."""
    levels = log_pmf.shape[-1]
    margin = torch.full_like(log_pmf[..., 0], torch.inf)
    if settings.temperature == 0:
        best = log_pmf.topk(2).values
        pmf = torch.zeros_like(log_pmf).scatter(-1, log_pmf.argmax(-1, keepdim=True), 1.0)
        return pmf, best[..., 0] - best[..., 1]
    if settings.temperature != 1:
        log_pmf = (log_pmf - log_pmf.amax(-1, keepdim=True)) / settings.temperature
    if 0 < settings.top_k < levels:
        ranked, order = log_pmf.sort(dim=-1, descending=True, stable=True)
        gap = ranked[..., settings.top_k - 1] - ranked[..., settings.top_k]
        margin = gap.nan_to_num(nan=torch.inf, posinf=torch.inf)
        log_pmf = log_pmf.scatter(-1, order[..., settings.top_k:], -torch.inf)
    pmf = (log_pmf - log_pmf.amax(-1, keepdim=True)).exp()
    pmf = pmf / pmf.sum(-1, keepdim=True)
    if settings.top_p < 1:
        ranked, order = pmf.sort(dim=-1, descending=True, stable=True)
        before = ranked.cumsum(-1) - ranked
        margin = torch.minimum(margin, (before - settings.top_p).abs().amin(-1))
        kept = (before < settings.top_p).sum(-1, keepdim=True).clamp(max=levels - 1)
        last, first = (ranked.gather(-1, k)[..., 0] for k in (kept - 1, kept))
        margin = torch.minimum(margin, (last - first).masked_fill(last <= REFER / 10, torch.inf))
        pmf = pmf.scatter(-1, order, ranked.masked_fill(before >= settings.top_p, 0.0))
        pmf = pmf / pmf.sum(-1, keepdim=True)
    return pmf, margin


def decide(pmf: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """(…, L) float64 probabilities and (…) uniforms -> (…) values by the inverse CDF, (…) distance of u to the nearest step
    of the CDF; see `draw.decide`."""
    cdf = pmf.cumsum(-1)
    u = u.unsqueeze(-1) * cdf[..., -1:]
    last = ((pmf > 0) * torch.arange(pmf.shape[-1], device=pmf.device)).amax(-1)    # rounding may have led past it
    return torch.minimum((cdf <= u).sum(-1), last), (cdf[..., :-1] - u).abs().amin(-1)
