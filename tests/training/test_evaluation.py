"""Test figures are plain means over images, each counted once, whatever the batch."""

import math

import numpy as np
import pytest
import torch

from arstudio.image import ImageSpec, SpecMismatch
from arstudio.models import ClassRequired
from arstudio.models.orders import Order
from arstudio.progress import Cancelled, Progress
from arstudio.training.evaluation import evaluate

SPEC = ImageSpec(3, 3, 4, 5)


@pytest.fixture
def images():
    rng = np.random.default_rng(2)
    return rng.integers(0, 5, (11, *SPEC.shape)).astype(np.uint8), rng.integers(0, 3, 11)


@pytest.mark.parametrize("batch", [1, 2, 3, 10, 11, 64])
@pytest.mark.parametrize("classes", [0, 3])
def test_the_figure_is_the_mean_over_images_whatever_the_last_batch(batch, classes, random_model, images):
    x, y = images
    model = random_model("nade", SPEC, classes, hidden=7)
    one = []
    with torch.inference_mode():
        for i in range(11):
            label = int(y[i]) if classes else None
            one.append(-model.log_prob(torch.from_numpy(x[i : i + 1]), label).item())
    assert np.std(one) > 1, "images so alike that any weighting gives this mean"
    figure = evaluate(model, x, y, batch=batch)
    assert figure.images == 11
    assert figure.nats == pytest.approx(np.mean(one), rel=1e-6)
    assert figure.bits_per_dim == pytest.approx(np.mean(one) / 36 / math.log(2), rel=1e-6)
    assert figure.stderr == pytest.approx(np.std(one, ddof=1) / math.sqrt(11), rel=1e-5)


def test_without_labels_the_model_is_asked_without_a_class(random_model, images):
    x, y = images
    model = random_model("nade", SPEC, 3, hidden=7)
    with torch.inference_mode():
        expected = -model.log_prob(torch.from_numpy(x)).mean().item()
    assert evaluate(model, x).nats == pytest.approx(expected, rel=1e-6)
    assert evaluate(model, x, y).nats != pytest.approx(expected, rel=1e-3)
    with pytest.raises(ClassRequired):
        evaluate(random_model("nade", SPEC, 3, hidden=7, class_dropout=0), x)


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_off_and_the_mode_comes_back(training, random_model, images):
    model = random_model("gated_pixelcnn", SPEC, channels=6, dilations=(1, 1), head=6, dropout=0.5)
    model.train(training)
    figures = {evaluate(model, images[0]).nats for _ in range(3)}
    assert len(figures) == 1
    assert model.training is training


def test_a_single_image_has_no_standard_error(random_model, images):
    assert math.isnan(evaluate(random_model("nade", SPEC, hidden=2), images[0][:1]).stderr)


def test_evaluation_reports_and_stops(random_model, images):
    class Watch(Progress):
        def __init__(self, after):
            self.after, self.seen = after, []

        def report(self, fraction, text=""):
            self.seen.append((fraction, text))

        def cancelled(self):
            return len(self.seen) >= self.after

    model = random_model("nade", SPEC, hidden=2).train()
    watch = Watch(99)
    evaluate(model, images[0], batch=4, progress=watch)
    assert watch.seen == [(4 / 11, "4 of 11 images"), (8 / 11, "8 of 11 images"), (1.0, "11 of 11 images")]
    with pytest.raises(Cancelled):
        evaluate(model, images[0], batch=4, progress=Watch(1))
    assert model.training


def test_images_that_do_not_fit_are_refused(random_model, images):
    with pytest.raises(SpecMismatch, match=r"shape \(batch, 3, 3, 4\), but was given \(11, 1, 3, 4\)"):
        evaluate(random_model("nade", SPEC, hidden=2), images[0][:, :1])


def test_an_ensemble_averages_probabilities_over_orders(random_model, images):
    x, _ = images
    model = random_model("eonade", SPEC, hidden=9, layers=1)
    orders = [model.order, Order("random", 3, 4, 1), Order("spiral", 3, 4)]
    ways = np.stack([-evaluate_each(model.reordered(order), x) for order in orders])
    expected = -(np.logaddexp.reduce(ways, 0) - math.log(3))
    assert np.ptp(ways, 0).max() > 0.1, "orders so alike that any average gives this"
    assert evaluate(model, x, orders=orders).nats == pytest.approx(expected.mean(), rel=1e-6)


def evaluate_each(model, x):
    with torch.inference_mode():
        return -model.log_prob(torch.from_numpy(x)).numpy()
