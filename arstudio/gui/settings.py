"""What a person chooses for a drawing, beside the model: one frozen value that the toolbar shows and the history keeps."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arstudio.models.modelfile import ModelCard

if TYPE_CHECKING:
    from arstudio.models import AutoregressiveModel
    from arstudio.sampling import Recipe


@dataclass(frozen=True)
class Settings:
    """What the toolbar chooses. class_index −1 means any class. `guidance` is kept while it cannot act."""

    class_index: int = -1
    seed: int = 42
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    guidance: float = 0.0
    count: int = 9
    order: str = ""            # "": the model's own; kept while the model has one order only
    order_seed: int = 0
    method: str = "auto"

    def class_of(self, card: ModelCard) -> int | None:
        """The class a model is asked for: the chosen one if it knows it, else none, or its first if it needs one."""
        if 0 <= self.class_index < card.num_classes:
            return self.class_index
        return 0 if card.num_classes and card.config.get("class_dropout") == 0 else None

    def can_guide(self, card: ModelCard) -> bool:
        """True where guidance can act: there is a class, and the model also knows p(x) without one."""
        return self.class_of(card) is not None and card.config.get("class_dropout", 0.1) != 0

    def recipe(self, model: AutoregressiveModel, card: ModelCard) -> Recipe:
        """All that a drawing with these settings depends on beside the model's weights."""
        from arstudio.sampling import Recipe, SampleSettings

        settings = SampleSettings(
            seed=self.seed, temperature=self.temperature, top_k=self.top_k, top_p=self.top_p,
            guidance=self.guidance if self.can_guide(card) else 0.0,
        )
        order = self.order if model.any_order else ""
        return Recipe(settings, self.count, self.class_of(card), order, self.order_seed if order else 0, self.method)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Settings:
        """The inverse of `dataclasses.asdict`; fields it does not know are left out. Raises TypeError for other types."""
        known = {f.name: f for f in dataclasses.fields(cls)}
        for name, value in data.items():
            if name in known and not isinstance(value, (str,) if isinstance(known[name].default, str) else (int, float)):
                raise TypeError(f"{name} cannot be {value!r}")
        return cls(**{name: value for name, value in data.items() if name in known})

    @classmethod
    def of(cls, recipe: Recipe) -> Settings:
        """The settings that give a recipe, its edits aside."""
        s = recipe.settings
        return cls(
            -1 if recipe.y is None else recipe.y, s.seed, s.temperature, s.top_k, s.top_p, s.guidance, recipe.count,
            recipe.order, recipe.order_seed, recipe.method,
        )
