"""Completion by clamping: what is known comes back bit for bit,
and the rest follows the model's own probabilities."""

import itertools
import math

import numpy as np
import pytest
import torch

from arstudio.image import ImageError, ImageSpec, SpecMismatch
from arstudio.sampling import SampleSettings, complete, preset_mask
from arstudio.sampling.completion import agreement, ignored_pixels

GREY, RGB = ImageSpec(1, 4, 6, 5), ImageSpec(3, 3, 4, 4)
KINDS = [
    ("fvsbn", {"order": "column"}), ("nade", {"hidden": 9, "order": "random"}),
    ("pixelcnn", {"channels": 8, "blocks": 1, "head": 8}),
    ("gated_pixelcnn", {"channels": 8, "dilations": (1, 2), "head": 8}),
]
MASKS = ["top", "bottom", "left", "right", "centre", "random:0.3", "random:1"]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("spec", [GREY, RGB], ids=str)
@pytest.mark.parametrize(("name", "config"), KINDS)
def test_known_pixels_come_back_and_hidden_ones_are_drawn(name, config, spec, mask, random_model):
    model = random_model(name, spec, **config)
    x = np.random.default_rng(1).integers(0, spec.levels, spec.shape)
    known = ~preset_mask(mask, spec.height, spec.width, seed=2)
    result = complete(model, x, known, 6, SampleSettings(seed=3))
    assert result.images.shape == (6, *spec.shape)
    assert (result.images[:, :, known] == x[:, known]).all()
    assert (result.images >= 0).all()
    assert (result.images < spec.levels).all()
    assert len(np.unique(result.images[:, :, ~known], axis=0)) > 1
    with torch.inference_mode():
        sites = model.log_prob_sites(torch.from_numpy(result.images)).numpy()
    np.testing.assert_allclose(result.log_prob, sites[:, :, ~known].sum((1, 2)), atol=1e-4)
    assert (np.diff(result.log_prob[result.ranking]) <= 0).all()
    assert (result.agreement[known] == 0).all()
    assert result.agreement.max() > 0


def test_the_same_seed_completes_the_same_way_and_hiding_all_is_sampling(random_model):
    model, x = random_model("nade", GREY, hidden=9), np.zeros(GREY.shape, int)
    known = ~preset_mask("left", 4, 6)
    first, again = (complete(model, x, known, 3, SampleSettings(seed=5)).images for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, complete(model, x, known, 3, SampleSettings(seed=6)).images)


def by_enumeration(model, x, known):
    """Every way to fill the hidden pixels with its probability, Π p(x_t | x_<t) over hidden t,
    from `forward`."""
    hidden = np.flatnonzero(~np.broadcast_to(known, model.spec.shape).reshape(-1))
    ways = list(itertools.product(range(model.spec.levels), repeat=len(hidden)))
    images = np.repeat(x.reshape(1, -1), len(ways), 0)
    images[:, hidden] = ways
    with torch.inference_mode():
        sites = model.log_prob_sites(torch.from_numpy(images).view(-1, *model.spec.shape)).flatten(1)
    return images, sites[:, hidden].sum(1).double().exp().numpy()


CHI_SQUARE_999 = {7: 24.32, 8: 26.12}    # the 99.9th percentile, by degrees of freedom


@pytest.mark.parametrize(
    ("spec", "mask"),
    [(ImageSpec(1, 2, 2, 3), "bottom"), (ImageSpec(1, 2, 2, 3), "top"), (ImageSpec(3, 2, 1, 2), "bottom")],
)
@pytest.mark.parametrize("name", ["nade", "gated_pixelcnn"])
def test_completions_come_as_often_as_their_probability_says(name, spec, mask, random_model):
    config = {"hidden": 8} if name == "nade" else {"channels": 6, "dilations": (1, 1), "head": 6}
    model, count = random_model(name, spec, seed=4, **config), 4000
    x, known = np.zeros(spec.shape, int), ~preset_mask(mask, spec.height, spec.width)
    images, p = by_enumeration(model, x, known)
    assert p.sum() == pytest.approx(1, abs=1e-6)
    assert p.max() > 3 * p.min()
    drawn = complete(model, x, known, count, SampleSettings(seed=1)).images.reshape(count, -1)
    seen = np.array([(drawn == image).all(1).sum() for image in images])
    assert seen.sum() == count
    limit, even = CHI_SQUARE_999[len(p) - 1], count / len(p)
    assert ((seen - count * p) ** 2 / (count * p)).sum() < limit
    assert ((seen - even) ** 2 / even).sum() > 3 * limit, "any distribution would have passed"


def test_with_everything_known_lying_before_clamping_is_the_exact_conditional(random_model):
    model = random_model("nade", ImageSpec(1, 2, 2, 3), hidden=8)
    x, known = np.array([[[2, 1], [0, 0]]]), np.array([[True, True], [False, False]])
    images, p = by_enumeration(model, x, known)
    with torch.inference_mode():
        joint = model.log_prob(torch.from_numpy(images).view(-1, 1, 2, 2)).exp().numpy()
    np.testing.assert_allclose(p, joint / joint.sum(), atol=1e-6)


def test_ignored_counts_known_pixels_after_the_first_hidden_one(random_model):
    model = random_model("nade", ImageSpec(1, 3, 3, 2), hidden=4)
    hide = {"raster 4": (1, 1), "raster 8": (2, 2), "raster 0": (0, 0)}
    for (name, site), ignored in zip(hide.items(), (4, 0, 8), strict=True):
        known = np.ones((3, 3), bool)
        known[site] = False
        assert ignored_pixels(model, known) == ignored, name
        result = complete(model, np.zeros((1, 3, 3), int), known, 1)
        assert result.ignored == ignored
        if ignored:
            assert f"{ignored} of the 8 known pixels come after a hidden one" in result.sentence
        else:
            assert "all 8 known pixels come before the first hidden one" in result.sentence
    assert ignored_pixels(model, np.ones((3, 3), bool)) == 0
    assert ignored_pixels(model, np.zeros((3, 3), bool)) == 0
    column = random_model("nade", ImageSpec(1, 3, 3, 2), hidden=4, order="column")
    assert ignored_pixels(column, ~preset_mask("right", 3, 3)) == 0
    assert ignored_pixels(model, ~preset_mask("right", 3, 3)) == 4


def test_agreement_is_zero_where_all_agree_and_one_bit_where_halves_differ():
    images = np.array([[[[0, 0, 0]]], [[[0, 1, 1]]], [[[0, 0, 2]]], [[[0, 1, 3]]]])
    assert agreement(images) == pytest.approx(np.array([[0, 1, 2]]))
    assert agreement(np.repeat(images, 3, axis=1)).shape == (1, 3)
    quarter = agreement(np.array([[[[1]]], [[[0]]], [[[0]]], [[[0]]]]))
    assert quarter.item() == pytest.approx(-(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75)))


MAPS = {
    "top": ["######", "######", "......", "......", "......"],
    "bottom": ["......", "......", "......", "######", "######"],
    "left": ["###...", "###...", "###...", "###...", "###..."],
    "right": ["...###", "...###", "...###", "...###", "...###"],
    "centre": ["......", ".####.", ".####.", ".####.", "......"],
}


@pytest.mark.parametrize("name", MAPS)
def test_the_masks_by_name_hide_what_they_say(name):
    assert ["".join(".#"[int(h)] for h in row) for row in preset_mask(name, 5, 6)] == MAPS[name]


def test_a_random_mask_hides_its_share_and_follows_its_seed():
    mask = preset_mask("random:0.25", 6, 10, seed=3)
    assert mask.sum() == 15
    assert np.array_equal(mask, preset_mask("random:0.25", 6, 10, seed=3))
    assert not np.array_equal(mask, preset_mask("random:0.25", 6, 10, seed=4))
    assert preset_mask("random:1", 2, 2).all()
    assert preset_mask("random:0.0001", 2, 2).sum() == 1


@pytest.mark.parametrize(
    "name", ["middle", "", "random", "random:", "random:0", "random:1.1", "random:nan", "random:x"]
)
def test_a_mask_there_is_not_is_refused(name):
    with pytest.raises(ImageError, match=rf"mask '{name}'.* random:0\.5") as caught:
        preset_mask(name, 4, 4)
    assert str(caught.value).endswith(".")


def test_a_task_that_is_none_is_refused(random_model):
    model, x = random_model("nade", GREY, hidden=4), np.zeros(GREY.shape, int)
    some = np.zeros((4, 6), bool)
    with pytest.raises(ImageError, match=r"Nothing is hidden: paint over the part of the picture"):
        complete(model, x, ~some)
    with pytest.raises(ImageError, match=r"The mask is \(6, 4\) but the image is \(4, 6\) pixels\."):
        complete(model, x, some.T)
    with pytest.raises(SpecMismatch, match="This needs images of shape"):
        complete(model, x[:, :3], some[:3])
    some[0] = True
    with pytest.raises(SpecMismatch, match="hold levels 9 to 9, but the model draws 0 to 4"):
        complete(model, x + 9, some)
