"""Law 1: the Jacobian of the parameters is exactly zero towards sites not before,
non-zero towards all it should see."""

import numpy as np
import pytest
import torch
from cases import CASES, Case, expected_sight, past, random_images

from arstudio.image import ImageSpec
from arstudio.models import MODELS


def jacobian(model, inputs=3, seed=1):
    """(D, D) summed |d params of site i / d input j| in float64, over random images and classes.

    One copy of an image per site i: copy i is asked for site i alone, so one backward pass gives all rows.
    """
    spec, total = model.spec, torch.zeros(model.spec.sites, model.spec.sites, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    index = torch.arange(spec.sites)
    for i in range(inputs):
        x = random_images(spec, 1, generator).expand(spec.sites, *spec.shape)
        y = torch.full((spec.sites,), i % (model.num_classes + 1) - 1) if model.num_classes else None
        e = model.encode(x).requires_grad_()
        params = model.network(e, model.class_index(y, spec.sites)).flatten(2)[index, :, index]
        weights = torch.randn(params.shape, generator=generator, dtype=torch.float64)
        (gradient,) = torch.autograd.grad((params * weights).sum(), e, materialize_grads=True)
        total += gradient.abs().sum(1).flatten(1)
    return total.numpy()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_conditional_sees_all_it_should_and_nothing_else(case, random_model):
    expected, seen = expected_sight(case), np.zeros((case.spec.sites, case.spec.sites), dtype=bool)
    assert not (expected & ~past(case)).any()
    for seed in range(12):    # a ReLU that is off for one draw of the weights must not look like a blind spot
        model = random_model(
            case.name, case.spec, case.num_classes, seed=seed, dtype=torch.float64, **case.config
        )
        influence = jacobian(model, seed=seed)
        assert (influence[~past(case)] == 0).all(), "a conditional depends on a site that is not before it"
        seen |= influence > 0
        if seed >= 1 and (seen == expected).all():
            return
    assert not (expected & ~seen).any(), "a conditional does not depend on a site it is meant to see"
    assert not (seen & ~expected).any(), "a conditional sees more than the architecture is said to"


def test_every_registered_model_is_in_the_catalogue():
    assert {case.name for case in CASES} == set(MODELS)
    for name in MODELS:
        mine = [case for case in CASES if case.name == name]
        assert {case.spec.channels for case in mine} == {1, 3}
        assert {case.num_classes > 0 for case in mine} == {True, False}
    ordered = {case.order.kind for case in CASES if case.name == "nade"}
    assert ordered == {"raster", "column", "snake", "diagonal", "spiral", "random"}


@pytest.mark.parametrize("name", ["fvsbn", "nade", "gated_pixelcnn"])
def test_the_whole_past_is_in_sight_of_models_without_a_blind_spot(name):
    mine = [
        case for case in CASES
        if case.name == name and case.config.get("kernel", 3) == 3 and not case.config.get("context")
    ]
    assert len(mine) >= 8
    for case in mine:
        assert (expected_sight(case) == past(case)).all(), case


def test_pixelcnn_has_a_blind_spot_that_gated_pixelcnn_has_not(random_model):
    spec = ImageSpec(1, 9, 9, 2)
    plain = Case("pixelcnn", spec, 0, {"channels": 12, "blocks": 8, "first_kernel": 3, "head": 8})
    gated = Case("gated_pixelcnn", spec, 0, {"channels": 8, "dilations": (1,) * 9, "head": 8})
    seen = {}
    for case in (plain, gated):
        model = random_model(case.name, spec, dtype=torch.float64, **case.config)
        seen[case.name] = jacobian(model, inputs=6) > 0
        assert (seen[case.name] == expected_sight(case)).all()
    site = 6 * 9 + 3                                       # row 6, column 3
    blind = (past(plain)[site] & ~seen["pixelcnn"][site]).reshape(9, 9)
    # A 3×3 mask B reaches one column further right with each row up; beyond that line nothing arrives.
    row, column = np.mgrid[:9, :9]
    assert (blind == ((row < 6) & (column - 3 > 6 - row))).all()
    assert blind.sum() == 4 + 3 + 2 + 1
    assert (seen["gated_pixelcnn"] == past(gated)).all()


def test_a_leak_would_be_noticed(random_model):
    """The test tested: one weight of a future site let through is one entry too many."""
    spec = ImageSpec(1, 3, 3, 2)
    model = random_model("fvsbn", spec, dtype=torch.float64)
    model.before[4, 0, 5, 0] = 1
    leaks = (jacobian(model) > 0) & ~past(Case("fvsbn", spec))
    assert np.argwhere(leaks).tolist() == [[4, 5]]
