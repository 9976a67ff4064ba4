"""Every registered model learns: four images by heart, and real digits better than counting can."""

import time

import pytest
import torch

from arstudio.data import load
from arstudio.models import MODELS, create, load_model, preset_settings
from arstudio.training.baselines import histogram_nats
from arstudio.training.config import TrainConfig
from arstudio.training.evaluation import evaluate
from arstudio.training.setup import DataView, new_trainer

COUNTING = [name for name in sorted(MODELS) if MODELS[name].model.closed_form]
LEARNING = [name for name in sorted(MODELS) if name not in COUNTING]


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNING)
def test_four_images_are_learned_by_heart(name, digits):
    """Each with a class of its own, so that −log p(x | y) can fall to nothing; uniform is 181 nats."""
    torch.manual_seed(0)
    settings = preset_settings(name, "small") | {"class_dropout": 0.0}
    model = create(name, digits.spec, 4, **settings)
    x, y = torch.from_numpy(digits.train.x[:4]), torch.arange(4)
    optimiser = torch.optim.Adam(model.parameters(), lr=4e-3)
    for step in range(2500):
        model.train()
        optimiser.zero_grad()
        loss = model.loss(x, y).mean()
        (loss / digits.spec.sites).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if step % 25 == 24:
            with torch.no_grad():
                nats = -float(model.eval().log_prob(x, y).mean())
            if nats < 1.0:
                return
    pytest.fail(f"{nats:.2f} nats after {step + 1} steps")


@pytest.mark.parametrize("name", COUNTING)
def test_counts_hold_four_images_too(name, digits):
    model = create(name, digits.spec, 4, smoothing=1e-4)
    x, y = torch.from_numpy(digits.train.x[:4]), torch.arange(4)
    model.learn(x, y)
    assert -float(model.log_prob(x, y).mean()) < 1.0


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNING)
def test_a_short_training_beats_the_histogram_on_digits(name, digits, tmp_path):
    config = TrainConfig(minutes=0.4, validation_images=120, samples=1)
    trainer = new_trainer(
        tmp_path / "run", DataView(dataset="digits"), name, config, preset_settings(name, "small"), classes=False,
        clock=time.process_time,
    )
    trainer.fit()
    counted = histogram_nats(digits.train.x, digits.test.x, digits.spec.levels)
    network, _ = load_model(tmp_path / "run")
    assert evaluate(network, digits.test.x).nats < counted - 3
