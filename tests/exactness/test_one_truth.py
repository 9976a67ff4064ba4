"""Law 3: decoder, forward, log_prob and every sampler tell the same story,
at any moment and in any order of calls."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import CASES, PLAIN, SMALL, VARIANTS, accepts
from cases import random_images as random_images_from
from catalogue import FILES
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from arstudio.image import ImageSpec
from arstudio.models import MODELS, AutoregressiveModel
from arstudio.models.orders import Order
from arstudio.sampling import METHODS, Sampler, SampleSettings, methods, sample
from arstudio.sampling.draw import GRID, noise

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}
GREY, RGB, REAL = ImageSpec(1, 4, 5, 4), ImageSpec(3, 3, 4, 3), ImageSpec(3, 3, 2, 0)
FEW = ImageSpec(1, 3, 4, 4), ImageSpec(3, 2, 3, 3), ImageSpec(3, 2, 2, 0)    # where every site costs full passes in float64
CONTINUOUS = [name for name in sorted(MODELS) if accepts(name, REAL, SMALL[name])]


def some_classes(model, batch):
    return torch.arange(batch) % (model.num_classes + 1) - 1 if model.num_classes else None


def random_images(spec, batch, seed=0):
    return random_images_from(spec, batch, torch.Generator().manual_seed(seed))


def given_so_far(model, x, position):
    """x with every site from `position` on set to 0, which the parameters there must not depend on."""
    flat = x.flatten(1).clone()
    flat[:, model.site_index[position:]] = 0
    return flat.view_as(x)


def small(name, spec, random_model, **more):
    return random_model(name, spec, **{**SMALL[name], **more})


def check_decoder(model):
    x, y, tolerance = random_images(model.spec, 3), some_classes(model, 3), TOLERANCE[model.dtype]
    with torch.inference_mode():
        truth = model(x, y)
        decoder = model.decoder(3, y)
        for t in range(model.spec.sites):
            channel, row, column = decoder.site()
            assert t == decoder.position
            expected = truth[:, :, channel, row, column]
            torch.testing.assert_close(decoder.params(), expected, rtol=tolerance, atol=tolerance)
            decoder.push(x[:, channel, row, column])
    assert torch.equal(decoder.x, x.to(decoder.x.dtype))
    with pytest.raises(IndexError, match="Every site has been drawn"):
        decoder.params()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_decoder_parameters_equal_forward_in_float64(case, random_model):
    check_decoder(random_model(case.name, case.spec, case.num_classes, dtype=torch.float64, **case.config))


@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_one_conditional_is_what_forward_says_there(case, random_model):
    model = random_model(case.name, case.spec, case.num_classes, dtype=torch.float64, **case.config)
    x, y = random_images(case.spec, 2), some_classes(model, 2)
    with torch.inference_mode():
        truth = model(x, y)
        for site in np.ndindex(*case.spec.shape):
            there = model.conditional(x, y, site)
            torch.testing.assert_close(there, truth[:, :, *site], rtol=1e-12, atol=1e-12)
            if type(model).conditional is AutoregressiveModel.conditional:
                break    # forward itself


@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_decoder_parameters_equal_forward_in_float32(case, random_model):
    check_decoder(random_model(case.name, case.spec, case.num_classes, **case.config))


WAYS = [
    (case, method) for case in PLAIN for method in METHODS if method != "auto"
    if (case.config == SMALL[case.name] or method not in ("naive", "jacobi"))    # which ask `forward` of any variant alike
    and (method != "blocks" or MODELS[case.name].model.in_blocks) and (method != "wavefront" or MODELS[case.name].model.lag)
    and (method != "captured" or MODELS[case.name].model.in_row_steps)
]


@pytest.mark.parametrize(("case", "method"), WAYS, ids=str)
def test_the_log_probability_a_sampler_reports_is_that_of_what_it_drew(case, method, random_model):
    model = random_model(case.name, case.spec, case.num_classes, dtype=torch.float64, **case.config)
    if method not in methods(model):
        pytest.skip("some configs of this model draw one site at a time")
    y = some_classes(model, 2)
    trace = sample(model, 2, SampleSettings(seed=4, temperature=0.8), y, method=method)
    x = torch.from_numpy(trace.images())
    with torch.inference_mode():
        expected = model.log_prob(x, y).numpy()
        log_pmf = model.likelihood.log_pmf(model(x, y)).flatten(2)[:, :, model.site_index].numpy()
    assert trace.log_probs.sum(1) == pytest.approx(expected, abs=1e-9)
    assert -np.array([trace.nats(0), trace.nats(1)]) == pytest.approx(expected, abs=1e-9)
    np.testing.assert_allclose(trace.pmfs, np.exp(log_pmf).transpose(0, 2, 1), atol=1e-7)
    np.testing.assert_allclose(trace.entropies, -(np.exp(log_pmf) * log_pmf).sum(1), atol=1e-6)


@st.composite
def models(draw, name):
    """Spec, number of classes and config of a random small model."""
    channels = draw(st.sampled_from([1, 3]))
    sites = 12 if channels == 3 else 24
    height = draw(st.integers(1, 5))
    width = draw(st.integers(1, max(1, min(6, sites // height))))
    spec = ImageSpec(channels, height, width, draw(st.sampled_from([2, 3, 8, 256, *[0] * (name in CONTINUOUS)])))
    config = FILES[name].configs(draw)
    assume(accepts(name, spec, config))
    return spec, draw(st.sampled_from([0, 2])), config


ways = st.builds(
    SampleSettings, seed=st.integers(0, 2**40),
    temperature=st.sampled_from([0.0, 1e-6, 0.01, 0.7, 1.0, 1.5, 100.0]),
    top_k=st.sampled_from([0, 0, 1, 2, 7, 1000]), top_p=st.sampled_from([1.0, 1.0, 0.9, 0.5, 1e-6]),
    guidance=st.sampled_from([0.0, 0.0, 0.5, 3.0, 100.0]),
)


@pytest.mark.parametrize("name", sorted(MODELS))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), way=ways, gain=st.sampled_from([0.0, 0.5, 2.0, 5.0]), count=st.integers(1, 5))
def test_one_seed_gives_one_image_whichever_sampler_draws_it(random_model, name, data, way, gain, count):
    spec, classes, config = data.draw(models(name))
    model = random_model(name, spec, classes, gain=gain, seed=way.seed % 7, **config)
    y = torch.arange(count) % classes if classes and way.guidance else some_classes(model, count)
    way = way if classes else replace(way, guidance=0.0)
    naive, *others = (sample(model, count, way, y, method=method) for method in reversed(methods(model)))
    for other in others:
        assert np.array_equal(naive.values, other.values)
        np.testing.assert_allclose(naive.log_probs, other.log_probs, atol=1e-3)


@pytest.mark.parametrize("spec", FEW[:2], ids=str)
@pytest.mark.parametrize("name", sorted(MODELS))
def test_decisions_too_close_for_float32_are_referred_and_still_agree(name, spec, random_model, monkeypatch):
    """With every decision called close, all samplers must come to what float64 alone would draw."""
    monkeypatch.setattr("arstudio.sampling.sampler.REFER", 10.0)
    model = small(name, spec, random_model, num_classes=2)
    y, way = some_classes(model, 2), SampleSettings(seed=2, top_p=0.95)
    samplers = [Sampler(model, way, 2, y, method=method) for method in methods(model)]
    drawn = [sampler.run().values for sampler in samplers]
    assert all(sampler.referee.referred >= 2 * spec.sites for sampler in samplers)
    monkeypatch.setattr("arstudio.sampling.sampler.REFER", 0.0)
    exact = sample(model.double(), 2, way, y, method="naive").values
    assert all(np.array_equal(values, exact) for values in drawn)


@pytest.mark.parametrize("guidance", [0.0, 2.0])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_reals_too_close_to_call_are_referred_and_still_agree(name, guidance, random_model, monkeypatch):
    model = small(name, FEW[2], random_model, num_classes=2)
    y, way = torch.arange(2), SampleSettings(seed=2, top_p=0.95, guidance=guidance)
    plain = sample(model, 2, way, y).values
    monkeypatch.setattr("arstudio.sampling.sampler.REFER_REAL", 10.0)
    for method in methods(model):
        sampler = Sampler(model, way, 2, y, method=method)
        assert np.array_equal(sampler.run().values, plain)
        assert sampler.referee.referred >= 2 * FEW[2].sites


@pytest.mark.parametrize("name", CONTINUOUS)
def test_reals_come_from_the_grid_and_are_the_inverse_cdf_of_the_mixture(name, random_model):
    model = small(name, REAL, random_model, dtype=torch.float64)
    trace = sample(model, 40, SampleSettings(seed=6))
    assert np.array_equal(trace.values * GRID, np.round(trace.values * GRID))
    u = torch.from_numpy(noise(40, REAL.sites, 6))
    with torch.inference_mode():
        params = model(torch.from_numpy(trace.images())).flatten(2)[:, :, model.site_index]
    weights, means, sds = model.likelihood.moments(params)
    for shift, below in ((0, True), (1, False)):    # u lies between the CDF at the cell's two ends
        z = (torch.from_numpy(trace.values + shift / GRID)[:, None] - means) / sds
        cdf = (weights * torch.special.ndtr(z)).sum(1)
        assert bool(((cdf <= u + 1e-9) if below else (cdf >= u - 1e-9)).all())


@pytest.mark.parametrize("name", sorted(MODELS))
def test_image_i_is_the_same_however_many_are_drawn(name, random_model):
    model = small(name, GREY, random_model)
    many = sample(model, 7, SampleSettings(seed=3)).images()
    assert len(np.unique(many, axis=0)) == 7
    for count in (1, 2, 5):
        assert np.array_equal(sample(model, count, SampleSettings(seed=3)).images(), many[:count])


@pytest.mark.parametrize("name", sorted(MODELS))
def test_another_seed_gives_other_images_and_the_global_generator_is_left_alone(name, random_model):
    model = small(name, GREY, random_model)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = sample(model, 4, SampleSettings(seed=3)).values
    torch.rand(5)
    assert np.array_equal(sample(model, 4, SampleSettings(seed=3)).values, first)
    assert not np.array_equal(sample(model, 4, SampleSettings(seed=4)).values, first)
    torch.set_rng_state(before)


class Walk:
    """A decoder driven at random, and beside it only a list of what was pushed; they must never disagree."""

    def __init__(self, model, seed, decoder=None):
        self.rng, self.model = np.random.default_rng(seed), model
        self.y = some_classes(model, 3) if model.num_classes else torch.full((3,), -1)
        self.x = torch.zeros(3, *model.spec.shape, dtype=torch.long if model.spec.levels else model.dtype)
        self.decoder = (decoder or model.decoder)(3, self.y)
        self.position, self.saved, self.done = 0, [], dict.fromkeys(self.moves, 0)

    moves = ("params", "push", "select", "snapshot", "restore", "rewind", "follow")

    def step(self):
        move = self.rng.choice(self.moves, p=(0.28, 0.34, 0.08, 0.08, 0.07, 0.07, 0.08))
        if self.position == self.model.spec.sites and move in ("params", "push", "follow"):
            move = "rewind"
        self.done[move] += 1
        getattr(self, move)()
        assert self.decoder.position == self.position
        assert self.decoder.batch == len(self.x)
        assert torch.equal(given_so_far(self.model, self.decoder.x, self.position), self.x)

    def params(self):
        with torch.inference_mode():
            channel, row, column = self.decoder.site()
            expected = self.model(self.x, self.y)[:, :, channel, row, column]
        for _ in range(self.rng.integers(1, 3)):
            torch.testing.assert_close(self.decoder.params(), expected, rtol=1e-9, atol=1e-9)

    def value(self):
        levels, count = self.model.spec.levels, len(self.x)
        return torch.from_numpy(self.rng.integers(0, levels, count) if levels else self.rng.normal(0.5, 0.5, count))

    def follow(self):
        sites = min(int(self.rng.integers(1, 9)), self.model.spec.sites - self.position)
        values, sequence = torch.stack([self.value() for _ in range(sites)], 1), self.model.site_index
        for at, value in zip(sequence[self.position:self.position + sites], values.unbind(1), strict=True):
            self.x.flatten(1)[:, at] = value
        with torch.inference_mode():
            expected = self.model(self.x, self.y).flatten(2)[:, :, sequence[self.position:self.position + sites]]
        torch.testing.assert_close(self.decoder.follow(values), expected.transpose(1, 2), rtol=1e-9, atol=1e-9)
        self.position += sites

    def push(self):
        channel, row, column = self.decoder.site()
        value = self.value()
        self.decoder.push(value)
        self.x[:, channel, row, column] = value
        self.position += 1

    def select(self):
        index = torch.from_numpy(self.rng.integers(0, len(self.x), self.rng.integers(1, 5)))
        if self.rng.random() < 0.3:
            index = torch.arange(len(self.x)).where(torch.from_numpy(self.rng.random(len(self.x)) < 0.5), 0)
        (self.decoder.select if self.rng.random() < 0.5 else self.decoder.resample)(index)
        self.x, self.y = self.x[index], self.y[index]

    def snapshot(self):
        self.saved.append((self.decoder.snapshot(), self.x.clone(), self.y.clone(), self.position))

    def restore(self):
        if self.saved:
            state, x, y, position = self.saved[self.rng.integers(len(self.saved))]
            self.decoder.restore(state)
            self.x, self.y, self.position = x.clone(), y.clone(), position

    def rewind(self):
        position = int(self.rng.integers(0, self.position + 1))
        self.decoder.rewind(position)
        self.x, self.position = given_so_far(self.model, self.x, position), position


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("spec", [GREY, RGB], ids=str)
@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_decoder_may_be_copied_restored_and_rewound_at_any_moment(name, spec, seed, random_model):
    classes = 2 * (seed % 2)
    model = small(name, spec, random_model, num_classes=classes, dtype=torch.float64)
    walk = Walk(model, seed)
    for _ in range(160):
        walk.step()
    assert min(walk.done.values()) >= 5


@pytest.mark.parametrize("name", CONTINUOUS)
def test_a_decoder_of_reals_may_be_copied_restored_and_rewound_too(name, random_model):
    walk = Walk(small(name, REAL, random_model, num_classes=2, dtype=torch.float64), 1)
    for _ in range(120):
        walk.step()
    assert min(walk.done.values()) >= 3


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_naive_decoder_may_be_driven_the_same_way(name, random_model):
    model = small(name, RGB, random_model, num_classes=2, dtype=torch.float64)
    walk = Walk(model, 3, model.naive_decoder)
    for _ in range(120):
        walk.step()
    assert min(walk.done.values()) >= 3


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_colour_changed_inside_a_pixel_already_computed_counts(name, random_model):
    model, x = small(name, RGB, random_model, dtype=torch.float64), random_images(RGB, 2)
    for start in (0, 3, RGB.width * 3):    # the first, the second and a later row's first pixel
        decoder = model.decoder(2)
        for _ in range(start + 3):
            channel, row, column = decoder.site()
            decoder.params()
            decoder.push((x[:, channel, row, column] + 1) % RGB.levels)
        decoder.rewind(start)
        seen = decoder.x.clone()
        for _ in range(3):
            channel, row, column = decoder.site()
            decoder.push(x[:, channel, row, column])
            seen[:, channel, row, column] = x[:, channel, row, column]
        channel, row, column = decoder.site()
        expected = model(seen)[:, :, channel, row, column]
        torch.testing.assert_close(decoder.params(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "config"), VARIANTS)
def test_variants_may_be_rewound_too(name, config, random_model):
    walk = Walk(random_model(name, RGB, dtype=torch.float64, **SMALL[name] | config), 1)
    for _ in range(160):
        walk.step()
    assert min(walk.done.values()) >= 5


@pytest.mark.parametrize("spec", [GREY, RGB], ids=str)
@pytest.mark.parametrize("name", sorted(MODELS))
def test_values_pushed_without_asking_for_parameters_count_all_the_same(name, spec, random_model):
    model, x = small(name, spec, random_model, dtype=torch.float64), random_images(spec, 2)
    truth = model(x)
    for quiet in (1, spec.width * spec.channels - 1, spec.sites // 2 + 1, spec.sites - 1):
        decoder = model.decoder(2)
        for _ in range(quiet):
            channel, row, column = decoder.site()
            decoder.push(x[:, channel, row, column])
        channel, row, column = decoder.site()
        torch.testing.assert_close(decoder.params(), truth[:, :, channel, row, column], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_training_a_model_does_not_disturb_a_drawing_begun_before(name, random_model, monkeypatch):
    model = small(name, GREY, random_model, num_classes=2)
    original, y = copy.deepcopy(model), some_classes(model, 3)
    expected = sample(original, 3, SampleSettings(seed=8), y)
    samplers = [Sampler(model, SampleSettings(seed=8), 3, y, method=method) for method in methods(model)]
    for sampler in samplers:
        sampler.step()
    assert sum(sampler.referee.referred for sampler in samplers) == 0
    monkeypatch.setattr("arstudio.sampling.sampler.REFER", 0.05)    # so the referee is asked, after training
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p))
    assert not np.array_equal(sample(model, 3, SampleSettings(seed=8), y).values, expected.values)
    for sampler in samplers:
        trace = sampler.run()
        assert sampler.referee.referred > 0
        assert np.array_equal(trace.values, expected.values)
        np.testing.assert_allclose(trace.log_probs, expected.log_probs, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in sorted(MODELS) if MODELS[name].model.any_order])
@pytest.mark.parametrize("spec", [GREY, RGB], ids=str)
def test_an_any_order_model_keeps_the_laws_in_whatever_order_it_is_asked_for(name, spec, random_model):
    model = small(name, spec, random_model, num_classes=2, dtype=torch.float64)
    known = np.zeros((spec.height, spec.width), dtype=bool)
    known[spec.height // 2:] = True
    for order in (Order("random", spec.height, spec.width, 9), model.order.first(known)):
        other = model.reordered(order)
        assert other.order is order
        assert model.order is not order
        check_decoder(other)
        walk = Walk(other, 2)
        for _ in range(80):
            walk.step()
        x, y = random_images(spec, 2), some_classes(model, 2)
        for t in range(0, spec.sites, 5):    # what comes later in this order must not matter
            channel, row, column = (int(i) for i in np.unravel_index(int(other.site_index[t]), spec.shape))
            seen = other(given_so_far(other, x, t), y)[:, :, channel, row, column]
            torch.testing.assert_close(seen, other(x, y)[:, :, channel, row, column], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_drawing_leaves_the_model_as_it_was(name, random_model):
    model = small(name, GREY, random_model, num_classes=2).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    sample(model, 2, SampleSettings(seed=1), 1)
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", sorted(MODELS))
def test_training_loss_is_what_log_prob_says_and_has_a_gradient_everywhere(name, random_model):
    model = small(name, RGB, random_model, num_classes=2).train()
    x = random_images(RGB, 24)
    loss = model.loss(x, some_classes(model, 24)).mean()
    loss.backward()
    assert math.isfinite(loss.item())
    dead = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []
