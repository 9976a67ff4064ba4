"""Who may be asked for a class, and what happens without one."""

import pytest
import torch

from arstudio.image import ImageSpec, SpecMismatch
from arstudio.models import MODELS, ClassRequired, ConfigError, create

SPEC = ImageSpec(1, 3, 4, 3)
SMALL = {"nade": {"hidden": 4}, "pixelcnn": {"channels": 4, "blocks": 1}, "gated_pixelcnn": {"channels": 4}}


def x(batch=2):
    return torch.zeros(batch, *SPEC.shape, dtype=torch.long)


@pytest.fixture(params=sorted(MODELS))
def build(request, random_model):
    def make(num_classes, **config):
        return random_model(request.param, SPEC, num_classes, **SMALL.get(request.param, {}), **config)

    return make


def test_one_class_for_all_and_one_for_each_are_the_same(build):
    model = build(5)
    one = model(x(), 3)
    assert torch.equal(model(x(), torch.tensor(3)), one)
    assert torch.equal(model(x(), torch.tensor([3])), one)
    assert torch.equal(model(x(), torch.tensor([3, 3], dtype=torch.int32)), one)
    mixed = model(x(), torch.tensor([3, 1]))
    torch.testing.assert_close(mixed[0], one[0])
    assert not torch.allclose(mixed[1], one[1])


def test_minus_one_and_none_mean_no_class(build):
    model = build(5)
    assert torch.equal(model(x()), model(x(), -1))
    assert not torch.allclose(model(x()), model(x(), 0))
    mixed = model(x(), torch.tensor([-1, 2]))
    torch.testing.assert_close(mixed[0], model(x())[0])


@pytest.mark.parametrize("wrong", [5, 99, -2])
def test_a_class_out_of_range_is_named(build, wrong):
    with pytest.raises(ConfigError, match=rf"There is no class {wrong}: this model knows classes 0 to 4\."):
        build(5)(x(), wrong)


def test_classes_for_another_number_of_images_are_refused(build):
    for ask in (lambda m, y: m(x(), y), lambda m, y: m.decoder(2, y)):
        with pytest.raises(ConfigError, match=r"Give one class, or one for each of the 2 images, not 3\."):
            ask(build(5), torch.tensor([0, 1, 2]))


def test_a_model_without_classes_cannot_be_asked_for_one(build):
    model = build(0)
    assert torch.equal(model(x(), -1), model(x()))
    for wrong in (0, 3, -2, torch.tensor([-1, 1])):
        with pytest.raises(ConfigError, match="trained without classes"):
            model(x(), wrong)


def test_without_class_dropout_a_class_is_required(build):
    model = build(5, class_dropout=0)
    assert model(x(), 4).shape[0] == 2
    for ask in (
        lambda: model(x()), lambda: model(x(), -1), lambda: model(x(), torch.tensor([0, -1])),
        lambda: model.decoder(2), lambda: model.naive_decoder(2), lambda: model.log_prob(x()),
    ):
        with pytest.raises(ClassRequired, match=r"draws only with a class: choose one from 0 to 4\."):
            ask()
    assert build(0, class_dropout=0)(x()).shape[0] == 2


def test_an_image_of_another_shape_is_refused():
    model = create("nade", SPEC, hidden=3)
    for shape in [(1, 1, 4, 3), (1, 3, 3, 4), (2, 1, 1, 3, 4), (3, 4)]:
        with pytest.raises(SpecMismatch, match=r"shape \(batch, 1, 3, 4\), but was given"):
            model(torch.zeros(shape, dtype=torch.long))
