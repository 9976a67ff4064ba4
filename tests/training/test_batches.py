"""Every image comes once an epoch, in an order of its own, and a place in the middle of one is a place to go on from."""

import pytest
import torch

from arstudio.models import create
from arstudio.training.batches import Batches
from arstudio.training.config import TrainConfig


@pytest.fixture
def batches(data):
    """A function that makes the batches of a tiny model of stripes, eight images each."""

    def make(classes=2, **config):
        return Batches(create("nade", data.spec, classes, hidden=3, **config), data, TrainConfig(epochs=3, batch=8))

    return make


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own(batches):
    made, orders = batches(), []
    for epoch in range(2):
        assert made.epoch == epoch
        found = [x for x, _ in made.rest()]
        assert [len(x) for x in found] == [8, 8, 6]
        orders.append(torch.cat(found))
        made.turn()
    for seen in orders:
        assert sorted(x.numpy().tobytes() for x in seen) == sorted(x.numpy().tobytes() for x in made.x)
    assert not torch.equal(*orders)


def test_the_rest_of_an_epoch_is_that_of_the_same_epoch_begun_elsewhere(batches):
    whole, parts = batches(), batches()
    expected = [x for x, _ in whole.rest()]
    first, _ = next(parts.rest())
    assert (parts.position, parts.epoch) == (8, 8 / 22)
    again = batches()
    again.position = parts.position
    for one, other in zip([first, *(x for x, _ in again.rest())], expected, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("share", [0, 0.4])
def test_a_share_of_images_is_shown_without_its_class(batches, share):
    made, shown = batches(class_dropout=share), []
    for _ in range(60):
        shown += [y for _, y in made.rest()]
        made.turn()
    shown = torch.cat(shown)
    assert len(shown) == 60 * 22
    assert (shown == -1).double().mean().item() == pytest.approx(share, abs=0.05)
    assert set(shown.tolist()) == ({-1, 0, 1} if share else {0, 1})
    assert next(batches(classes=0).rest())[1] is None


def test_a_model_that_counts_is_told_every_class_and_sees_one_epoch(data):
    made = Batches(create("histogram", data.spec, 2, class_dropout=0.9), data, TrainConfig(epochs=3, batch=22))
    assert not made.counted
    _, y = next(made.rest())
    assert sorted(y.tolist()) == [0] * 11 + [1] * 11
    made.turn()
    assert made.counted
