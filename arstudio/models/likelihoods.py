"""Output families: what turns a network's parameters into a distribution over the levels of one site.

A likelihood reads parameters with P in dimension 1, `(B, P)` from a decoder or `(B, P, C, H, W)` from
`forward`, and answers in nats. Nothing else in the program applies a sigmoid or a softmax to network outputs,
so the loss and the sampler cannot disagree.

    Bernoulli    P = 1         p(x=1) = σ(a)
    Categorical  P = levels    p(x=k) = softmax(a)_k
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class Likelihood:
    """Interface of the discrete families. `levels` is the number of values, `num_params` is P."""

    name: str
    levels: int
    num_params: int

    def log_pmf(self, params: Tensor) -> Tensor:
        """(B, P, …) -> (B, levels, …) log-probabilities in nats, normalised over dimension 1."""
        raise NotImplementedError

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        """(B, P, …) parameters and (B, …) levels -> (B, …) log p(x) in nats."""
        return self.log_pmf(params).gather(1, x.long().unsqueeze(1)).squeeze(1)


class Bernoulli(Likelihood):
    """Two levels from one logit, log p = −softplus(∓a): exact where 1 − σ(a) would round to zero."""

    name = "bernoulli"
    levels = 2
    num_params = 1

    def log_pmf(self, params: Tensor) -> Tensor:
        return torch.cat([F.logsigmoid(-params), F.logsigmoid(params)], dim=1)

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        return F.logsigmoid(torch.where(x.bool(), params[:, 0], -params[:, 0]))


class Categorical(Likelihood):
    """A softmax over all levels (PixelRNN, van den Oord et al. 2016a, section 2.1):
    no assumption of order or smoothness."""

    name = "categorical"

    def __init__(self, levels: int) -> None:
        self.levels = self.num_params = levels

    def log_pmf(self, params: Tensor) -> Tensor:
        return F.log_softmax(params, dim=1)

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        return -F.cross_entropy(params, x.long(), reduction="none")


def default_likelihood(levels: int) -> Likelihood:
    """Bernoulli for 2 levels, Categorical for more. Raises ValueError for continuous data (levels=0)."""
    if levels == 0:
        raise ValueError(
            "This model needs integer levels, but the data are continuous; "
            "choose levels such as 2, 16 or 256."
        )
    return Bernoulli() if levels == 2 else Categorical(levels)
