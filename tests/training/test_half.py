"""Products in bfloat16 are taken only where they were measured to pay. Everything but the choice of CUDA runs on a CPU too."""

import dataclasses
import math

import pytest
import torch

from arstudio.image import ImageSpec
from arstudio.models import create
from arstudio.training import loop
from arstudio.training.config import TrainConfig
from arstudio.training.descent import Descent
from arstudio.training.half import Trial, try_half
from arstudio.training.setup import DataView, new_trainer

SPEC = ImageSpec(1, 6, 6, 4)
GOOD = Trial(seconds=0.2, half_seconds=0.1, nats=50.0, half_nats=50.1, cosine=0.999)


@pytest.fixture
def batch():
    return torch.randint(0, 4, (8, *SPEC.shape), generator=torch.Generator().manual_seed(0))


def descent(model, **settings):
    torch.manual_seed(0)
    return Descent(create(model, SPEC, **settings), TrainConfig(epochs=1))


def test_it_pays_where_it_is_faster_and_alike():
    assert GOOD.pays
    assert "2.0 times faster, the loss of the first batch differs by 0.20%" in GOOD.sentence()


@pytest.mark.parametrize("worse", [
    {"half_seconds": 0.19}, {"half_nats": 52.0}, {"half_nats": math.nan}, {"cosine": 0.9}, {"cosine": math.nan},
])
def test_otherwise_it_does_not(worse):
    assert not dataclasses.replace(GOOD, **worse).pays


@pytest.mark.parametrize(("model", "settings"), [
    ("gated_pixelcnn", {"channels": 8, "head": 8, "dilations": (1, 2)}),
    ("pixelcnn", {"channels": 8, "blocks": 1}), ("made", {"hidden": 16}), ("nade", {"hidden": 8}),
])
def test_both_ways_give_nearly_the_same_and_leave_everything_as_it_was(model, settings, batch):
    way = descent(model, **settings)
    weights = [p.detach().clone() for p in way.model.parameters()]
    state = torch.get_rng_state()
    trial = try_half(way, batch, None)
    assert 0 < abs(trial.half_nats - trial.nats) < 0.01 * trial.nats, "bfloat16 was used, and is close"
    assert trial.cosine > 0.99
    assert min(trial.seconds, trial.half_seconds) > 0
    assert torch.equal(torch.get_rng_state(), state)
    assert not way.half
    for p, before in zip(way.model.parameters(), weights, strict=True):
        assert torch.equal(p, before)
        assert p.grad is None


def test_a_model_that_cannot_stays_with_float32(batch, monkeypatch):
    way = descent("made", hidden=16)
    loss = way.model.loss

    def narrow(x, y=None):
        if torch.is_autocast_enabled("cpu"):
            raise RuntimeError("expected m1 and m2 to have the same dtype")
        return loss(x, y)

    monkeypatch.setattr(way.model, "loss", narrow)
    assert try_half(way, batch, None) is None
    assert not way.half


def test_half_learns_too(batch):
    way = descent("gated_pixelcnn", channels=8, head=8, dilations=(1, 2))
    way.half = True
    nats = [way.step(batch, None, 2e-2, number)[0] for number in range(40)]
    assert nats[-1] < 0.9 * nats[0]
    assert all(p.dtype == torch.float32 for p in way.model.parameters())


def test_a_cpu_is_never_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "try_half", lambda *_: pytest.fail("a CPU was asked"))
    view, config = DataView(dataset="digits"), TrainConfig(epochs=0.05)
    trainer = new_trainer(tmp_path / "run", view, "fvsbn", config, device="cpu")
    assert trainer.fit().status == "finished"
    assert not trainer.descent.half
