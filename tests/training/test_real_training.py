"""Training and evaluation of reals: densities learn, and their bits per dimension bound those of the levels."""

import math

import numpy as np
import pytest

from arstudio.data import load
from arstudio.image import ImageSpec
from arstudio.models import load_model
from arstudio.training.config import TrainConfig
from arstudio.training.evaluation import evaluate, units
from arstudio.training.recipes import recipe, views_offered
from arstudio.training.runs import Run
from arstudio.training.setup import DataView, new_trainer


@pytest.mark.parametrize(("name", "settings"), [
    ("rnade", {"hidden": 30, "components": 3}),
    ("gated_pixelcnn", {"channels": 8, "dilations": (1, 2), "head": 8, "components": 3}),
])
def test_a_continuous_view_trains_and_its_card_speaks_of_the_bound(name, settings, tmp_path):
    config = TrainConfig(epochs=3, seed=1, validation_images=50)
    trainer = new_trainer(tmp_path / "run", DataView(dataset="digits", levels=0), name, config, settings, device="cpu")
    assert trainer.live.uniform_nats == 0
    outcome = trainer.fit()
    assert outcome.status == "finished"
    first, last = trainer.live.points[0], trainer.live.points[-1]
    assert last.validation_nats < first.validation_nats - 5
    bound = (outcome.best_nats + 64 * math.log(17)) / (64 * math.log(2))
    assert f"({bound:.3f} bits/dim)" in outcome.sentence
    _, card = load_model(tmp_path / "run" / "best.safetensors")
    assert card.facts.bits_per_dim == pytest.approx(bound)
    assert "a bound on that of the 17 levels" in card.facts.protocol
    assert Run.open(tmp_path / "run").record["native_levels"] == 17
    assert 0 < bound < 1.5 * math.log2(17)


def test_the_bound_of_a_uniform_density_is_that_of_uniform_levels():
    spec = ImageSpec(1, 8, 8, 0)
    assert spec.bits_per_dim(0.0, 17) == pytest.approx(math.log2(17))
    assert spec.bits_per_dim(-64 * math.log(2)) == pytest.approx(-1)
    levels = ImageSpec(1, 8, 8, 17)
    assert levels.bits_per_dim(100.0, 17) == levels.bits_per_dim(100.0)
    assert units(levels, 17) == ""


def test_evaluation_converts_only_where_the_native_levels_are_known(random_model):
    model = random_model("rnade", ImageSpec(1, 8, 8, 0), hidden=5, components=2)
    x = load("digits", levels=0).test.x[:10]
    assert x.dtype == np.float32
    plain, known = evaluate(model, x), evaluate(model, x, native=17)
    assert plain.nats == known.nats
    assert known.bits_per_dim - plain.bits_per_dim == pytest.approx(math.log2(17))


def test_the_views_offered_begin_with_that_of_the_recipes_and_end_with_a_continuous_one():
    from arstudio.data import bundled

    assert all(views_offered(info)[-1] == (0, None) for info in bundled())
    for info in bundled():
        told = recipe("quick", "gated_pixelcnn", info.name)
        assert views_offered(info)[0] == (told.levels, told.size)
