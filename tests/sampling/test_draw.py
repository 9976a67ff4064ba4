"""One decision at a time: temperature, top-k and top-p against hand-made figures, and the inverse CDF."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from arstudio.image import ImageSpec
from arstudio.models import preset_settings
from arstudio.sampling import Sampler, SampleSettings, SettingsError, methods
from arstudio.sampling.draw import REFER, Referee, decide, noise, reshape


def shaped(pmf, **settings):
    with np.errstate(divide="ignore"):
        log_pmf = np.log(np.array([pmf], dtype=np.float64))
    return reshape(log_pmf, SampleSettings(**settings))[0][0].tolist()


def test_at_temperature_one_nothing_changes():
    assert shaped([0.5, 0.2, 0.3]) == pytest.approx([0.5, 0.2, 0.3])


def test_temperature_raises_probabilities_to_a_power():
    assert shaped([0.8, 0.2], temperature=0.5) == pytest.approx([0.64 / 0.68, 0.04 / 0.68])
    assert shaped([0.64, 0.36], temperature=2) == pytest.approx([0.8 / 1.4, 0.6 / 1.4])
    assert shaped([0.7, 0.2, 0.1], temperature=100) == pytest.approx([1 / 3] * 3, abs=0.01)


@pytest.mark.parametrize("temperature", [0, 1e-320, 1e-9, 1e-3])
def test_towards_temperature_zero_only_the_most_probable_value_is_left(temperature):
    assert shaped([0.3, 0.4, 0.3], temperature=temperature) == pytest.approx([0, 1, 0], abs=1e-99)


def test_top_k_keeps_that_many_values():
    assert shaped([0.1, 0.4, 0.2, 0.3], top_k=1) == [0, 1, 0, 0]
    assert shaped([0.1, 0.4, 0.2, 0.3], top_k=2) == pytest.approx([0, 4 / 7, 0, 3 / 7])
    for everything in (0, 4, 99):
        assert shaped([0.1, 0.4, 0.2, 0.3], top_k=everything) == pytest.approx([0.1, 0.4, 0.2, 0.3])


def test_top_k_keeps_no_more_than_that_many_when_values_are_equally_probable():
    assert shaped([0.25] * 4, top_k=2) == pytest.approx([0.5, 0.5, 0, 0])
    assert shaped([0.2, 0.4, 0.4], top_k=1) == [0, 1, 0]


def test_top_p_keeps_the_fewest_values_that_hold_the_share():
    pmf = [0.1, 0.4, 0.2, 0.3]
    assert shaped(pmf, top_p=0.39) == [0, 1, 0, 0]
    assert shaped(pmf, top_p=0.41) == pytest.approx([0, 4 / 7, 0, 3 / 7])
    assert shaped(pmf, top_p=0.69) == pytest.approx([0, 4 / 7, 0, 3 / 7])
    assert shaped(pmf, top_p=0.71) == pytest.approx([0, 4 / 9, 2 / 9, 3 / 9])
    assert shaped(pmf, top_p=0.999) == pytest.approx(pmf)
    assert shaped(pmf, top_p=1e-300) == [0, 1, 0, 0]


def test_temperature_comes_first_then_top_k_then_top_p():
    """0.5, 0.3, 0.2 squared are 25, 9, 4 of 38; the first two of them 25, 9 of 34; 25 / 34 is above 0.7."""
    assert shaped([0.5, 0.3, 0.2], temperature=0.5, top_k=2, top_p=0.7) == [1, 0, 0]
    assert shaped([0.5, 0.3, 0.2], temperature=0.5, top_p=0.7) == pytest.approx([25 / 34, 9 / 34, 0])


@pytest.mark.parametrize(
    ("settings", "margin"),
    [
        ({}, math.inf), ({"top_k": 4}, math.inf), ({"top_k": 2}, math.log(0.3 / 0.21)),
        ({"top_k": 2, "temperature": 0.5}, 2 * math.log(0.3 / 0.21)), ({"temperature": 0}, math.log(0.4 / 0.3)),
        ({"top_p": 0.68}, 0.02), ({"top_p": 0.5}, 0.09), ({"top_k": 3, "top_p": 0.45}, 0.45 - 0.4 / 0.91),
    ],
)
def test_how_near_a_truncation_came_to_another_choice(settings, margin):
    log_pmf = np.log([[0.3, 0.09, 0.4, 0.21]])
    assert reshape(log_pmf, SampleSettings(**settings))[1] == pytest.approx(margin)


@pytest.mark.parametrize("settings", [{"top_k": 1}, {"top_p": 0.3}, {"temperature": 0}])
@pytest.mark.parametrize("favoured", [1, 2])
def test_two_values_too_alike_for_float32_are_told_apart_in_float64(settings, favoured, random_model):
    """Only one may be kept: logits 1 and 1 + 1e-9, which float32 rounds to 1 and 1."""
    model = random_model("fvsbn", ImageSpec(1, 1, 2, 4), gain=0)
    model.bias.data[0, 3] = 50.0                                          # the first site is 3, φ = +1
    model.bias.data[1] = torch.tensor([-5.0, 1.0, 1.0, -5.0])
    model.weight.data[1, favoured, 0, 0] = 1e-9
    for method in methods(model):
        sampler = Sampler(model, SampleSettings(**settings), 20, method=method)
        sampler.run()
        assert sampler.referee.referred == 20
        assert (sampler.trace.values == [3, favoured]).all()


shares = st.lists(st.floats(0, 1) | st.just(0.0), min_size=2, max_size=9)
pmfs = shares.filter(lambda values: sum(values) > 0.01)


@given(pmf=pmfs, temperature=st.sampled_from([0.3, 1, 3]), top_k=st.integers(0, 9), top_p=st.floats(0.01, 1))
def test_what_is_left_is_a_distribution_over_the_most_probable_values(pmf, temperature, top_k, top_p):
    pmf = np.array(pmf) / sum(pmf)
    left = np.array(shaped(pmf, temperature=temperature, top_k=top_k, top_p=top_p))
    assert left.sum() == pytest.approx(1)
    assert (left >= 0).all()
    kept = left > 0
    assert 1 <= kept.sum() <= (top_k or len(pmf))
    if not kept.all():
        assert pmf[kept].min() >= pmf[~kept].max() * (1 - 1e-9)
    assert left.argmax() == pmf.argmax() or math.isclose(pmf[left.argmax()], pmf.max())


@given(pmf=pmfs, u=st.floats(0, 1, exclude_max=True))
def test_the_value_is_where_the_cdf_first_passes_u(pmf, u):
    pmf = np.array(pmf) / sum(pmf)
    value, distance = decide(pmf[None], np.array([u]))
    value, cdf = int(value[0]), np.cumsum(pmf)
    assert pmf[value] > 0, "a value that cannot be was drawn"
    assert (cdf[value - 1] if value else 0) <= u * cdf[-1] + 1e-12
    assert u * cdf[-1] <= cdf[value] + 1e-12
    assert distance[0] == pytest.approx(np.abs(cdf[:-1] - u).min(), abs=1e-12)


def test_probable_values_own_a_share_of_u_that_is_their_probability():
    grid = (np.arange(1000) + 0.5) / 1000
    values = decide(np.tile([0.1, 0.0, 0.6, 0.3], (1000, 1)), grid)[0]
    assert np.bincount(values, minlength=4).tolist() == [100, 0, 600, 300]
    assert (np.diff(values) >= 0).all()


def test_u_exactly_on_a_step_belongs_to_the_next_value_and_the_last_zero_is_never_drawn():
    pmf = np.array([[0.25, 0.25, 0.0, 0.5, 0.0]])
    for u, value in [(0.0, 0), (0.25, 1), (0.5, 3), (math.nextafter(0.5, 0), 1), (math.nextafter(1, 0), 3)]:
        assert int(decide(pmf, np.array([u]))[0][0]) == value
    assert int(decide(np.array([[0.0, 1.0]]), np.zeros(1))[0][0]) == 1


def test_every_image_has_noise_of_its_own_whatever_the_count():
    u = noise(5, 12, seed=9)
    assert u.shape == (5, 12)
    assert u.dtype == np.float64
    assert u.min() >= 0
    assert u.max() < 1
    assert len(np.unique(u)) == 60
    assert np.array_equal(noise(2, 12, seed=9), u[:2])
    assert not np.array_equal(noise(5, 12, seed=10), u)


@pytest.mark.parametrize("name", ["fvsbn", "nade", "pixelcnn", "gated_pixelcnn"])
def test_a_hair_decides_as_float64_would(name, random_model):
    """u is put closer to a step of the float64 CDF than any float32 figure could tell."""
    config = {} if name == "fvsbn" else {"hidden": 8} if name == "nade" else {"channels": 8, "head": 8}
    model = random_model(name, ImageSpec(1, 2, 3, 4), seed=5, **config)
    exact = copy.deepcopy(model).double()
    start = torch.zeros(1, 1, 2, 3, dtype=torch.long)
    with torch.inference_mode():
        pmf = exact.likelihood.log_pmf(exact(start)[:, :, 0, 0, 0]).exp()
    edge = pmf.cumsum(1)[0, 1].item()
    assert 0.01 < edge < 0.99
    hairs = [(edge + 1e-12, 2), (edge - 1e-12, 1), (edge + 2 * REFER, 2), (edge - 2 * REFER, 1)]
    for method, (u, value) in itertools.product(methods(model), hairs):
        sampler = Sampler(model, SampleSettings(), 1, method=method)
        sampler.u[:, 0] = u
        sampler.step(1)
        assert sampler.trace.values[0, 0] == value
        assert sampler.referee.referred == (abs(u - edge) < REFER)


@pytest.mark.parametrize("name", ["gated_pixelcnn", "pixelsnail", "multiscale"])
def test_the_referee_is_the_model_in_float64_and_never_holds_all_its_layers(name, random_model):
    model = random_model(name, ImageSpec(1, 4, 4, 4), **preset_settings(name, "small")).frozen()
    x, site = torch.arange(16).view(1, 1, 4, 4) % 4, (0, 3, 1)
    referee, classes = Referee(model), model.class_index(None, 1)
    with torch.inference_mode():
        found = referee.params(x, classes, site)
        whole = copy.deepcopy(model).double().conditional(x, None, site)
    assert torch.equal(found, whole)
    held = sum(p.numel() for p in referee._model.parameters())
    assert held < 0.5 * model.num_parameters
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_layers_that_the_referee_widens_share_memory_but_never_two_that_are_in_use(random_model):
    model = random_model("gated_pixelcnn", ImageSpec(1, 4, 4, 4), channels=4, head=4, dilations=(1, 1, 1)).frozen()
    referee = Referee(model)
    referee.params(torch.zeros(1, 1, 4, 4, dtype=torch.long), model.class_index(None, 1), (0, 1, 1))
    layers = referee._model.layers
    second, third = layers[1], layers[2]
    for wide, narrow in ((second, model.layers[1]), (third, model.layers[2])):
        assert torch.equal(wide.link.weight, narrow.link.weight.double())
    place = second.link.weight.data_ptr()
    del second
    assert layers[2].link.weight.data_ptr() == place
    assert torch.equal(third.link.weight, model.layers[2].link.weight.double())
    assert {p.dtype for p in model.parameters()} == {torch.float32}


WRONG = [
    ({"temperature": -0.1}, "temperature must be between 0 and 100, not -0.1"),
    ({"temperature": 101}, "temperature must be between 0 and 100, not 101"),
    ({"temperature": math.nan}, "temperature must be between 0 and 100, not nan"),
    ({"temperature": math.inf}, "temperature must be between 0 and 100, not inf"),
    ({"top_k": -1}, r"top_k must be 0 \(keep all\) or more, not -1"),
    ({"top_p": 0}, "top_p must be above 0 and at most 1, not 0"),
    ({"top_p": 1.01}, "top_p must be above 0 and at most 1, not 1.01"),
    ({"top_p": math.nan}, "top_p must be above 0 and at most 1, not nan"),
    ({"seed": 2**63}, "seed must fit 64 bits"),
]


@pytest.mark.parametrize(("settings", "sentence"), WRONG)
def test_settings_that_make_no_distribution_are_refused(settings, sentence):
    with pytest.raises(SettingsError, match=sentence + r".*\.$"):
        SampleSettings(**settings)


@pytest.mark.parametrize("seed", [-(2**63), -1, 0, 2**63 - 1])
def test_every_64_bit_seed_draws(seed):
    assert noise(1, 3, SampleSettings(seed=seed).seed).shape == (1, 3)
