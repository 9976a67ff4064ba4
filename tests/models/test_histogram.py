"""The histogram counts every image once and exactly, alone, by class and in the trainer."""

import numpy as np
import pytest
import torch

from arstudio.data import load
from arstudio.image import ImageSpec
from arstudio.models import ClassRequired, ConfigError, create, load_model
from arstudio.models.histogram import count_levels
from arstudio.sampling import SampleSettings, sample
from arstudio.training.baselines import histogram_nats
from arstudio.training.config import TrainConfig
from arstudio.training.evaluation import evaluate
from arstudio.training.setup import DataView, new_trainer, resume_trainer

SPEC = ImageSpec(3, 2, 2, 3)


def by_hand(train, test, levels, smoothing=1.0):
    """Mean nats from one comparison per level, in NumPy alone."""
    counts = np.stack([(train == level).sum(0) for level in range(levels)])
    p = (counts + smoothing) / (len(train) + smoothing * levels)
    return -np.mean([np.log(np.take_along_axis(p, x[None], 0)).sum() for x in test.astype(int)])


def test_a_level_that_was_never_seen_has_the_probability_laplace_gave_it():
    model = create("histogram", ImageSpec(1, 1, 1, 4))
    model.learn(torch.tensor([2, 2, 0]).view(3, 1, 1, 1))
    p = model.log_prob(torch.arange(4).view(4, 1, 1, 1)).exp()
    torch.testing.assert_close(p, torch.tensor([2, 1, 3, 1], dtype=torch.float64) / 7)


@pytest.mark.parametrize("likelihood", ["bernoulli", "categorical"])
def test_two_levels_are_counted_the_same_by_either_family(likelihood):
    model = create("histogram", ImageSpec(1, 1, 2, 2), likelihood=likelihood, smoothing=0.5)
    model.learn(torch.tensor([[1, 0], [1, 1], [1, 0]]).view(3, 1, 1, 2))
    p = model.log_prob(torch.tensor([1, 1]).view(1, 1, 1, 2)).exp()
    torch.testing.assert_close(p.item(), 3.5 / 4 * 1.5 / 4)


@pytest.mark.parametrize("smoothing", [1e-6, 1.0, 1000.0])
def test_one_hundred_thousand_images_in_batches_are_counted_exactly_in_float32(smoothing):
    rng = np.random.default_rng(0)
    x = torch.from_numpy((rng.random((100_000, *SPEC.shape)) < 0.01).astype(np.uint8) * 2)
    model = create("histogram", SPEC, smoothing=smoothing)
    assert model.dtype == torch.float32
    for part in x.split(999):
        model.learn(part)
    counts = model.counts()[0]
    assert torch.equal(counts, count_levels(x, 3).double())
    assert torch.equal(counts.sum(1), torch.full((12,), 100_000, dtype=torch.float64))


def test_each_class_has_a_table_and_the_last_counts_everything():
    x, y = torch.randint(0, 3, (50, *SPEC.shape)), torch.arange(50) % 3 - 1
    model = create("histogram", SPEC, 2)
    for rows in torch.arange(50).split(7):
        model.learn(x[rows], y[rows])
    for row, mine in ((0, x[y == 0]), (1, x[y == 1]), (2, x)):
        assert torch.equal(model.counts()[row], count_levels(mine, 3).double())
    with pytest.raises(ConfigError, match="There is no class 2"):
        model.learn(x[:1], 2)
    strict = create("histogram", SPEC, 2, class_dropout=0)
    strict.learn(x, y.clamp(min=0))
    with pytest.raises(ClassRequired):
        strict.learn(x)


def test_drawing_gives_back_the_frequencies(random_model):
    spec = ImageSpec(1, 1, 3, 3)
    model = create("histogram", spec, smoothing=1e-6)
    x = torch.tensor([[0, 1, 2], [0, 1, 1], [0, 2, 1], [0, 2, 0]]).view(4, 1, 1, 3)
    model.learn(x)
    drawn = torch.from_numpy(sample(model, 2000, SampleSettings(seed=1)).images()).view(2000, 3)
    shares = torch.stack([(drawn == level).float().mean(0) for level in range(3)], 1)
    expected = torch.tensor([[1, 0, 0], [0, 0.5, 0.5], [0.25, 0.5, 0.25]])
    torch.testing.assert_close(shares, expected, atol=0.04, rtol=0)


def test_the_baseline_is_the_model():
    rng = np.random.default_rng(2)
    train, test = (rng.integers(0, 3, (n, *SPEC.shape), dtype=np.uint8) for n in (1500, 7))
    for smoothing in (1.0, 0.1):
        assert histogram_nats(train, test, 3, smoothing) == pytest.approx(by_hand(train, test, 3, smoothing), rel=1e-12)


@pytest.mark.parametrize("budget", [{"epochs": 1}, {"epochs": 5}, {"minutes": 5.0}], ids=str)
@pytest.mark.parametrize("classes", [False, True])
def test_training_counts_the_digits_once_and_ends(budget, classes, tmp_path):
    digits, view = load("digits"), DataView(dataset="digits")
    config = TrainConfig(**budget, batch=100, patience=1)
    trainer = new_trainer(tmp_path / "run", view, "histogram", config, classes=classes, device="cpu")
    outcome = trainer.fit()
    assert (outcome.status, trainer.live.epoch, trainer.live.fraction) == ("finished", 1.0, 1.0)
    counts = count_levels(torch.from_numpy(digits.train.x), 17).double()
    assert torch.equal(trainer.model.counts()[-1], counts)
    if classes:
        assert torch.equal(trainer.model.counts()[:-1].sum(0), counts), "a class was dropped"
    best, _ = load_model(tmp_path / "run")
    expected = by_hand(digits.train.x, digits.test.x, 17)
    assert evaluate(best, digits.test.x).nats == pytest.approx(expected, rel=1e-6)
    assert histogram_nats(digits.train.x, digits.test.x, 17) == pytest.approx(expected, rel=1e-12)
    if classes:
        assert evaluate(best, digits.test.x, digits.test.y).nats < expected - 5
    again = resume_trainer(tmp_path / "run", **{key: 5 * value for key, value in budget.items()}, device="cpu")
    assert again.fit().status == "finished"
    assert torch.equal(again.model.counts()[-1], counts), "resuming counted the images again"


def test_a_training_stopped_in_the_middle_goes_on_where_it_was(tmp_path):
    digits, view = load("digits"), DataView(dataset="digits")
    config = TrainConfig(epochs=0.4, batch=50)
    new_trainer(tmp_path / "run", view, "histogram", config, device="cpu").fit()
    half = resume_trainer(tmp_path / "run", epochs=2, device="cpu")
    assert 0.3 < half.model.counts()[-1][0].sum() / len(digits.train.x) < 0.6
    assert half.fit().status == "finished"
    assert torch.equal(half.model.counts()[-1], count_levels(torch.from_numpy(digits.train.x), 17).double())
