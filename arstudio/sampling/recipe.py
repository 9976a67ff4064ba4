"""All that a drawing depends on beside the weights of its model: settings, class, order, and the edits a person made.

A recipe is small, is written as JSON into exported pictures and the history, and gives the same pixels again:
`Recipe.draw` replays it, and `Recipe.snippet` is the same in a few lines of Python.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from arstudio.models.base import AutoregressiveModel
from arstudio.models.orders import Order
from arstudio.progress import Progress
from arstudio.sampling.draw import SampleSettings, SettingsError
from arstudio.sampling.sampler import Sampler


@dataclass(frozen=True)
class Change:
    """Image `image` was given `value` at a step; what follows keeps its noise."""

    image: int
    step: int
    value: float


@dataclass(frozen=True)
class Redraw:
    """All images were drawn anew from a step, with the noise of another seed."""

    step: int
    seed: int


Edit = Change | Redraw


@dataclass(frozen=True)
class Recipe:
    """`order` is a kind of order, "" for the model's own; `y` a class or None; `edits` in the order they were made."""

    settings: SampleSettings = field(default_factory=SampleSettings)
    count: int = 1
    y: int | None = None
    order: str = ""
    order_seed: int = 0
    method: str = "auto"
    edits: tuple[Edit, ...] = ()

    def model_of(self, model: AutoregressiveModel) -> AutoregressiveModel:
        """The model in the order of the recipe. Raises ConfigError if it has one order only."""
        if not self.order:
            return model
        return model.reordered(Order(self.order, model.spec.height, model.spec.width, self.order_seed))

    def sampler(self, model: AutoregressiveModel) -> Sampler:
        """A sampler that has drawn nothing and knows nothing of the edits."""
        return Sampler(self.model_of(model), self.settings, self.count, self.y, method=self.method)

    def draw(self, model: AutoregressiveModel, progress: Progress | None = None) -> Sampler:
        """Draw with all edits, one after the other. Raises SettingsError for an edit that cannot be, Cancelled if stopped."""
        sampler = self.sampler(model)
        for edit in self.edits:
            sampler.run(progress, until=max(edit.step, sampler.trace.cursor))
            apply(sampler, edit)
        sampler.run(progress)
        return sampler

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return dataclasses.asdict(self) | {"edits": [dataclasses.asdict(edit) for edit in self.edits]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Recipe:
        """The inverse of `to_dict`. Raises SettingsError, one sentence, if it is not one."""
        try:
            edits = tuple(Change(**e) if "image" in e else Redraw(**e) for e in data.get("edits", ()))
            known = {f.name for f in dataclasses.fields(cls)}
            parts = {k: v for k, v in data.items() if k in known}
            recipe = cls(**parts | {"settings": SampleSettings(**data["settings"]), "edits": edits})
            counts = (recipe.count, recipe.order_seed, *(e.step for e in edits))
            if not all(isinstance(n, int) for n in counts) or not 1 <= recipe.count <= 4096:
                raise SettingsError(f"{recipe.count} images")
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise SettingsError(f"The settings in this file are damaged ({str(error).rstrip('.')}).") from None
        return recipe

    def snippet(self, model: str, image: int = 0) -> str:
        """Python that draws the same through the package and leaves image number `image` as `x`.
        `model` is a bundled name, a model file or a run directory."""
        s = self.settings
        changed = [f"{f.name}={getattr(s, f.name)!r}" for f in dataclasses.fields(s)
                   if f.name == "seed" or getattr(s, f.name) != f.default]
        extra = "" if self.y is None else f", y={self.y}"
        extra += "" if self.method == "auto" else f", method={self.method!r}"
        lines = ["from arstudio.models import load_model"]
        if self.order:
            lines.append("from arstudio.models.orders import Order")
        lines += ["from arstudio.sampling import SampleSettings, Sampler", "", f"model, card = load_model({model!r})"]
        if self.order:
            lines.append(
                f"model = model.reordered(Order({self.order!r}, model.spec.height, model.spec.width, {self.order_seed}))"
            )
        lines.append(f"sampler = Sampler(model, SampleSettings({', '.join(changed)}), count={self.count}{extra})")
        for edit in self.edits:
            lines.append(f"sampler.run(until={edit.step})")
            if isinstance(edit, Change):
                lines.append(f"sampler.change({edit.image}, {edit.step}, {edit.value!r})    # image, step, value")
            else:
                lines.append(f"sampler.redraw({edit.step}, seed={edit.seed})")
        lines += ["trace = sampler.run()", f"x = trace.image({image})    # (C, H, W)",
                  f'print(f"{{trace.nats({image}):.4f}} nats")', ""]
        return "\n".join(lines)


def apply(sampler: Sampler, edit: Edit) -> None:
    """Make an edit and stand at its step. Raises SettingsError if it cannot be."""
    if isinstance(edit, Change):
        sampler.change(edit.image, edit.step, edit.value)
    else:
        sampler.redraw(edit.step, edit.seed)
