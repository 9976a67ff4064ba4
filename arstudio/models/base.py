"""The contract every model keeps: all conditionals in one pass, an exact log-likelihood,
an incremental decoder.

    log p(x) = Σ_t log p(x_t | x_<t)        t runs over sites in the model's order

`forward` gives the parameters of every conditional at once (training, evaluation, inspection); `decoder`
gives the same parameters one site at a time (generation, completion).
The laws in tests/exactness hold them to each other.

Models speak *levels*, integers 0 … levels-1. Scaling to the network's range happens in `encode`; `network` is
the differentiable part, so the autoregressive property is tested on its Jacobian.
"""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from arstudio.image import ImageSpec
from arstudio.models.decoder import Decoder, NaiveDecoder
from arstudio.models.layers import Array
from arstudio.models.likelihoods import Likelihood, make_likelihood
from arstudio.models.orders import ORDERS, Order

if TYPE_CHECKING:
    from arstudio.models.row_steps import RowSteps


class ConfigError(ValueError):
    """A configuration no model can be built from; the message names the field and what it may be."""


class ClassRequired(ValueError):
    """A class-conditional model trained without class dropout was used without a class."""


@dataclass(frozen=True)
class Cost:
    """What a model takes, known before it is built: trained scalars, and scalars that a training step keeps an image."""

    parameters: int
    activations: int

    def training_bytes(self, batch: int) -> int:
        """float32 bytes of weights, gradients, Adam's two moments and EMA, and of what the backward pass needs."""
        return 4 * (5 * self.parameters + batch * self.activations)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What every model can be asked for. `class_dropout` is the share of training images shown without their
    class; `likelihood` a name of `likelihoods.LIKELIHOODS`, `components` its K if it is a mixture.

    `presets` holds what `small`, `medium` and `paper` change; `likelihoods` what the model can put out.
    """

    presets: ClassVar[dict[str, dict[str, Any]]] = {"small": {}, "medium": {}, "paper": {}}
    likelihoods: ClassVar[tuple[str, ...]] = ("auto", "bernoulli", "categorical")

    order: str = "raster"
    order_seed: int = 0
    class_dropout: float = 0.1
    likelihood: str = "auto"
    components: int = 5

    def require(self, condition: bool, sentence: str) -> None:
        """Raise ConfigError(sentence) unless condition holds."""
        if not condition:
            raise ConfigError(sentence)

    def check(self, spec: ImageSpec) -> None:
        """Raise ConfigError if no model of this kind exists for `spec`. Subclasses extend it."""
        share, orders = self.class_dropout, ", ".join(ORDERS)
        self.require(0 <= share < 1, f"class_dropout must be in [0, 1), not {share}.")
        self.require(self.order in ORDERS, f"There is no order {self.order!r}; choose one of {orders}.")
        self.require(self.order_seed >= 0, f"order_seed must be 0 or more, not {self.order_seed}.")
        known, mine = ", ".join(self.likelihoods), self.likelihood
        self.require(mine in self.likelihoods, f"The likelihood of this model is one of {known}, not {mine!r}.")
        reals = "gaussian" in self.likelihoods
        self.require(spec.levels != 0 or reals, "This model needs integer levels; choose levels such as 2, 16 or 256.")
        self.outputs(spec)

    def make_likelihood(self, spec: ImageSpec) -> Likelihood:
        """The output family for `spec`. Raises ConfigError where the two do not fit."""
        try:
            return make_likelihood(self.likelihood, spec.levels, self.components)
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def outputs(self, spec: ImageSpec) -> int:
        """P, the number of parameters of one site's distribution."""
        return self.make_likelihood(spec).num_params

    def make_order(self, spec: ImageSpec) -> Order:
        """The order in which the model draws images of `spec`."""
        return Order(self.order, spec.height, spec.width, self.order_seed)

    def parameters(self, spec: ImageSpec, num_classes: int = 0) -> int:
        """Trained scalars of the model for `spec`, exactly, without building it."""
        raise NotImplementedError

    def activations(self, spec: ImageSpec) -> int:
        """Scalars that a training step keeps for each image, within a factor of two."""
        raise NotImplementedError

    def facts(self, spec: ImageSpec) -> dict[str, str]:
        """Figures particular to the architecture, as name and text for people, such as a receptive field."""
        return {}

    def cost(self, spec: ImageSpec, num_classes: int = 0) -> Cost:
        """Parameters and memory of the model for `spec`, without building it. Raises ConfigError if it cannot be."""
        self.check(spec)
        return Cost(self.parameters(spec, num_classes), self.activations(spec))


class AutoregressiveModel(nn.Module):
    """A chain of conditionals over the sites of an image. See the module docstring."""

    name: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str]
    closed_form: ClassVar[bool] = False    # `learn` counts each image once; there is nothing to descend
    any_order: ClassVar[bool] = False      # `reordered` gives a model of any other order with the same weights
    attends: ClassVar[bool] = False        # its layers call `attention.causal_attention`; see `attention_places`
    in_blocks: ClassVar[bool] = False      # its decoder has `look`: many pixels at once, with values guessed
    images_a_thread: int = 4     # drawing in blocks is faster on several threads where each has so many images
    binary_below: int = 10**9    # so many binary images or more are drawn as fast site by site (measured at `small`)
    wide: bool = False           # its products are so large that blocks pay however badly they are guessed
    lag: int = 0                 # columns by which each row must stay behind the one above in a wavefront; 0: it cannot be one
    wave_from: int = 1           # so many images or more are drawn faster by a wavefront than in blocks
    in_row_steps: ClassVar[bool] = False   # `row_steps` says what happens to a row in functions a device can record
    whole_frozen: ClassVar[bool] = True    # a frozen copy holds all that a model file needs
    slow_exact: ClassVar[bool] = False     # `log_prob` takes a pass a pixel; training is watched by `validation_loss`

    def __init__(self, spec: ImageSpec, config: ModelConfig, num_classes: int = 0) -> None:
        super().__init__()
        config.check(spec)
        if num_classes < 0:
            raise ConfigError(f"num_classes must be 0 or more, not {num_classes}.")
        self.spec, self.config, self.num_classes, self.is_frozen = spec, config, num_classes, False
        self._dtype: torch.dtype | None = None
        self.order = config.make_order(spec)
        self.likelihood = config.make_likelihood(spec)
        sites = torch.from_numpy(self.order.sites(spec.channels))
        self.register_buffer("site_index", sites, persistent=False)

    def encode(self, x: Tensor) -> Tensor:
        """(B, C, H, W) levels -> (B, E, C, H, W) network inputs; by default E = 1, scaled to [-1, 1]."""
        return self.scaled(x).unsqueeze(1)

    def scaled(self, x: Array) -> Array:
        """Levels of any shape -> [-1, 1] in the network's floating-point type; reals in [0, 1] likewise."""
        factor = 2.0 / (self.spec.levels - 1 if self.spec.levels else 1)
        if isinstance(x, np.ndarray):
            return x.astype(np.float64 if self.dtype == torch.float64 else np.float32) * factor - 1.0
        return x.to(self.dtype) * factor - 1.0

    def network(self, e: Tensor, y: Tensor) -> Tensor:
        """(B, E, C, H, W) inputs and (B,) class rows from `class_index` -> (B, P, C, H, W) parameters."""
        raise NotImplementedError

    def decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        """A fresh incremental decoder for `batch` images; exact, at the first site of the order."""
        raise NotImplementedError

    def row_steps(self, batch: int, y: Tensor | int | None = None) -> RowSteps:
        """What draws rows of `batch` images by functions of fixed tensors, for models with `in_row_steps`."""
        raise NotImplementedError(f"{self.title} is not drawn by rows of fixed tensors.")

    def forward(self, x: Tensor, y: Tensor | int | None = None) -> Tensor:
        """Parameters of every conditional in one pass: (B, C, H, W) levels -> (B, P, C, H, W).

        y is a class, (B,) classes (−1: none) or None. Raises SpecMismatch if x does not fit `spec`.
        """
        self.spec.check(x)
        return self.network(self.encode(x), self.class_index(y, len(x)))

    def conditional(self, x: Tensor, y: Tensor | int | None, site: tuple[int, int, int]) -> Tensor:
        """`forward` at one site (channel, row, column) -> (B, P); a model may look at less of x than all of it."""
        return self.forward(x, y)[:, :, site[0], site[1], site[2]]

    def log_prob_sites(self, x: Tensor, y: Tensor | int | None = None) -> Tensor:
        """(B, C, H, W) levels -> (B, C, H, W) log p(x_i | x_<i) in nats."""
        return self.likelihood.log_prob(self.forward(x, y), x)

    def log_prob(self, x: Tensor, y: Tensor | int | None = None) -> Tensor:
        """(B, C, H, W) levels -> (B,) exact log p(x) or log p(x | y) in nats,
        summed in float64 where the device has it."""
        sites = self.log_prob_sites(x, y).flatten(1)
        return sites.sum(1) if sites.device.type == "mps" else sites.sum(1, dtype=torch.float64)

    def loss(self, x: Tensor, y: Tensor | int | None = None) -> Tensor:
        """(B, C, H, W) levels -> (B,) nats to train on: −log p(x), unless a model has an estimate or bound of its own."""
        return -self.log_prob(x, y)

    def validation_loss(self, x: Tensor, y: Tensor | int | None, generator: torch.Generator) -> Tensor:
        """(B, C, H, W) levels -> (B,) nats to watch a training by: −log p(x), of models with `slow_exact` an estimate."""
        return -self.log_prob(x, y)

    def prepare(self, x: Tensor) -> None:
        """Look at (B, C, H, W) levels of the training split before the first step; most models have no need to."""

    def learn(self, x: Tensor, y: Tensor | int | None = None) -> None:
        """Take (B, C, H, W) levels and their classes into account, for models with `closed_form`."""
        raise NotImplementedError(f"{self.title} is trained by gradient descent.")

    def reordered(self, order: Order) -> AutoregressiveModel:
        """The same weights under another order of the same image size, for models with `any_order`.

        Training one trains the other. Raises ConfigError for a model with one order, or an order of another size.
        """
        if not self.any_order:
            raise ConfigError(f"{self.title} draws in the order it was trained in only.")
        if (order.height, order.width) != (self.spec.height, self.spec.width):
            raise ConfigError(f"The order is for {order.height}×{order.width} images, the model for {self.spec}.")
        twin = copy.copy(self)
        twin._buffers = dict(self._buffers)    # copy.copy shares the dictionary, and site_index is about to differ
        twin.order = order
        twin.register_buffer("site_index", torch.from_numpy(order.sites(self.spec.channels)).to(self.device), persistent=False)
        return twin

    def members(self, orders: Sequence[Order] | None = None) -> list[AutoregressiveModel]:
        """The models that `ensemble_log_prob` averages: this one in each of the orders (its own), same weights."""
        return [self.reordered(order) for order in ([self.order] if orders is None else orders)]

    def ensemble_log_prob(
        self, x: Tensor, y: Tensor | int | None = None, orders: Sequence[Order] | None = None
    ) -> Tensor:
        """(B, C, H, W) levels -> (B,) log of the mean probability of the whole image over orders, in nats, for
        models with `any_order`.

        A mean of distributions is a distribution; a mean of their logits is not. Uria et al. 2014.
        """
        ways = torch.stack([member.log_prob(x, y) for member in self.members(orders)])
        return ways.logsumexp(0) - math.log(len(ways))

    def completion_order(self, known: np.ndarray) -> Order:
        """The order in which to complete an image whose (H, W) bool pixels `known` are given, for models with
        `any_order`: those first, then the model's order."""
        return self.order.first(known)

    def attention_places(self) -> tuple[Tensor, Tensor]:
        """Where attention looks, for models with `attends`: (T, S) sites, as indices into a flat (C, H, W) image, that
        the value behind each of T keys tells of, C·H·W for none; and (C·H·W,) the query of each site. Raises ConfigError for
        the others."""
        raise ConfigError(f"{self.title} has no attention.")

    def naive_decoder(self, batch: int, y: Tensor | int | None = None) -> Decoder:
        """A decoder that runs the whole `forward` for every site: the reference, and the slow way."""
        return NaiveDecoder(self, batch, y)

    def class_index(self, y: Tensor | int | None, batch: int) -> Tensor:
        """Class, classes or None -> (B,) rows of an embedding with num_classes + 1 rows,
        the last meaning "no class".

        Raises ClassRequired without a class where the model needs one, ConfigError for a class out of range.
        """
        none = self.num_classes
        device = self.site_index.device
        if y is None:
            rows = torch.full((batch,), none, device=device)
        else:
            rows = torch.as_tensor(y, device=device).long().reshape(-1)
            if len(rows) not in (1, batch):
                raise ConfigError(f"Give one class, or one for each of the {batch} images, not {len(rows)}.")
            rows = rows.expand(batch)
        if not torch.compiler.is_compiling():    # a graph cannot look at values, and is made of a step that was computed before
            self._check_classes(rows, given=y is not None)
        return rows if y is None else torch.where(rows < 0, none, rows)

    def _check_classes(self, rows: Tensor, given: bool) -> None:
        none = self.num_classes
        if given:
            if none == 0 and bool((rows != -1).any()):
                raise ConfigError("This model was trained without classes, so it cannot be asked for one.")
            outside = (rows < -1) | (rows >= max(none, 1))
            if bool(outside.any()):
                wrong = int(rows[outside][0])
                raise ConfigError(f"There is no class {wrong}: this model knows classes 0 to {none - 1}.")
        if none and self.config.class_dropout == 0 and bool(((rows == none) | (rows < 0)).any()):
            raise ClassRequired(f"This model draws only with a class: choose one from 0 to {none - 1}.")

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the weights."""
        if self._dtype is None:    # looking for a parameter costs as much as a small product
            self._dtype = next(self.parameters()).dtype
        return self._dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.site_index.device

    @property
    def num_parameters(self) -> int:
        """Number of trained scalars."""
        return sum(p.numel() for p in self.parameters())

    def frozen(self) -> AutoregressiveModel:
        """A copy for drawing: evaluation mode, no gradients, masks folded into its weights.

        Decoders own one, so the original can go on training while images are drawn. A frozen model is its own.
        """
        if self.is_frozen:
            return self
        held = [value for module in self.modules() for value in vars(module).values()]
        empty = {id(value): type(value)() for value in held if type(value) in (dict, OrderedDict) and not value}
        twin = copy.deepcopy(self, empty)    # a dozen dictionaries a module, which are slow to copy one by one
        twin.freeze()
        return twin

    def freeze(self) -> None:
        """Become one's own frozen copy, never to be trained again, so that drawing takes no second copy of the weights."""
        self.eval().requires_grad_(False)
        for module in self.modules():
            if hasattr(module, "fold_mask"):
                module.fold_mask()
            if isinstance(module, AutoregressiveModel):
                module.is_frozen = True

    def _apply(self, *args: Any, **options: Any) -> AutoregressiveModel:
        self.is_frozen = False    # what was prepared for drawing had the type and place of before
        super()._apply(*args, **options)
        self._dtype = None
        return self
