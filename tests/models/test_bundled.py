"""The bundled models are what their cards say: a slice of the test split is measured again."""

import math

import pytest
import torch

from arstudio.data import load
from arstudio.models import MODELS, load_frozen, load_model, save_model
from arstudio.models.modelfile import bundled_models
from arstudio.resources import resource
from arstudio.training.evaluation import evaluate

CARDS = {card.name: card for card in bundled_models()}
MOST_BYTES = 36e6


def figure(card, count):
    """The model's mean nats of the first `count` test images, in the view its card names."""
    model, _ = load_model(card.path)
    size = None if card.facts.dataset != "emoji" else card.spec.height
    test = load(card.facts.dataset, levels=card.spec.levels, size=size).test
    y = test.y[:count] if model.num_classes else None
    return evaluate(model, test.x[:count], y), len(test.x)


@pytest.mark.parametrize("name", sorted(CARDS))
def test_the_slice_of_the_card_is_measured_again(name):
    facts = CARDS[name].facts
    found, _ = figure(CARDS[name], facts.slice_images)
    assert facts.slice_images >= 10
    assert found.images == facts.slice_images
    assert found.nats == pytest.approx(facts.slice_nats, abs=0.01)


@pytest.mark.parametrize("name", sorted(CARDS))
def test_opened_for_drawing_one_copy_of_the_weights_serves_all(name, tmp_path):
    model, _ = load_model(CARDS[name].path)
    opened, card = load_frozen(CARDS[name].path)
    assert card == CARDS[name]
    assert opened.is_frozen == (opened.frozen() is opened) == (model.whole_frozen and not model.any_order)
    assert model.whole_frozen == (model.state_dict().keys() == model.frozen().state_dict().keys())
    x = torch.randint(0, model.spec.levels, (2, *model.spec.shape), generator=torch.Generator().manual_seed(0))
    y = 1 if model.num_classes else None
    save_model(tmp_path / "again.safetensors", opened)
    with torch.inference_mode():
        truth = model.log_prob(x, y)
        torch.testing.assert_close(opened.log_prob(x, y), truth)
        assert torch.equal(load_model(tmp_path / "again.safetensors")[0].log_prob(x, y), truth)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CARDS))
def test_the_figure_of_the_card_is_measured_again(name):
    facts = CARDS[name].facts
    found, count = figure(CARDS[name], facts.images)
    assert count == facts.images
    assert found.nats == pytest.approx(facts.nats, abs=0.01)
    assert found.bits_per_dim == pytest.approx(facts.bits_per_dim, abs=0.001)


@pytest.mark.parametrize("name", sorted(CARDS))
def test_every_card_says_where_a_model_comes_from(name):
    card, facts = CARDS[name], CARDS[name].facts
    assert facts.split == "test"
    assert facts.protocol
    assert facts.command.startswith("arstudio train --dataset " + facts.dataset)
    assert "/" not in facts.command.replace("RUNS/", "")
    assert f"--seed {facts.seed}" in facts.command
    assert facts.machine
    assert facts.licence
    assert facts.failures
    assert facts.epochs > 0
    assert math.isfinite(facts.nats)
    assert card.path.with_suffix(".png").exists()


def test_every_family_is_there_on_digits_and_everything_is_small_enough():
    assert {card.model for card in CARDS.values() if card.facts.dataset == "digits"} == set(MODELS)
    root = resource("models").parent
    assert sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) < MOST_BYTES


def test_weights_load_as_float32_whatever_they_are_stored_in():
    for name in ("digits-made", "digits-gated"):
        model, _ = load_model(name)
        assert {p.dtype for p in model.parameters()} == {torch.float32}
