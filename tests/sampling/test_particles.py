"""Particles against enumeration: on tiny binary images completions come as often as the exact posterior says, and log Ẑ
is log p(observed). Each population gives one draw, so the draws are independent."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arstudio.image import ImageSpec, SpecMismatch
from arstudio.models.orders import Order
from arstudio.progress import Cancelled, Progress
from arstudio.sampling import SampleSettings, SettingsError
from arstudio.sampling.completion import (
    Evidence,
    ParticleSettings,
    PinnedParticles,
    Population,
    complete,
    completion_sampler,
    exact_model,
    hidden_log_prob,
    ignored_pixels,
    preset_mask,
)
from arstudio.sampling.completion.weights import effective, in_place, log_mean, normalised, systematic, tempered

PRESETS = ("top", "bottom", "left", "right", "centre", "blob", "random:0.5")
NADE = ("nade", {"hidden": 10})
GATED = ("gated_pixelcnn", {"channels": 6, "dilations": (1, 1), "head": 6})
LMCONV = ("lmconv", {"channels": 6, "dilations": (1, 1), "head": 6, "first_kernel": 3})


def chi_square_999(freedom):
    """99.9th percentile of χ², Wilson & Hilferty 1931."""
    a = 2 / (9 * freedom)
    return freedom * (1 - a + 3.0902 * math.sqrt(a)) ** 3


def posterior(model, x, known, log_likelihood=None):
    """Every image that agrees with x at `known`, p(hidden | observed) of each, and log p(observed), by enumeration."""
    hidden = np.flatnonzero(~np.broadcast_to(known, model.spec.shape).reshape(-1))
    ways = np.array(list(itertools.product(range(model.spec.levels), repeat=len(hidden))))
    images = np.repeat(x.reshape(1, -1), len(ways), 0)
    images[:, hidden] = ways
    with torch.inference_mode():
        joint = model.log_prob(torch.from_numpy(images).view(-1, *model.spec.shape)).double().numpy()
    if log_likelihood is not None:
        joint = joint + log_likelihood(images.reshape(-1, *model.spec.shape))
    log_z = np.logaddexp.reduce(joint)
    return images, np.exp(joint - log_z), log_z


def distance(drawn, images, p):
    """χ² of drawn images (N, D) against probabilities p, values expected less than 5 times counted together; and the
    degrees of freedom."""
    powers = 2 ** np.arange(images.shape[1])
    number = {int(n): i for i, n in enumerate(images @ powers)}
    seen = np.bincount([number[int(n)] for n in drawn @ powers], minlength=len(p)).astype(float)
    rare = p * len(drawn) < 5
    seen, expected = ([*a[~rare], *([a[rare].sum()] if rare.any() else [])] for a in (seen, p * len(drawn)))
    seen, expected = np.array(seen), np.array(expected)
    return float(((seen - expected) ** 2 / np.maximum(expected, 1e-9)).sum()), max(1, len(seen) - 1)


def one_draw_each(work, seed=5):
    """(repeats, D) one image of every population by its weights, in (C, H, W) reading order."""
    repeats, particles = work.shape
    u = np.random.default_rng(seed).random(repeats)
    index = systematic(normalised(work.log_w.reshape(work.shape)), u, 1)[:, 0] + particles * np.arange(repeats)
    flat = np.empty((repeats, work.trace.spec.sites), dtype=np.int64)
    flat[:, work.trace.sites] = work.values[:, index].T
    return flat


def observed(size):
    return np.random.default_rng(size).integers(0, 2, (1, size, size))


@pytest.mark.parametrize("moves", [0, 1])
@pytest.mark.parametrize("mask", PRESETS)
@pytest.mark.parametrize("size", [3, 4])
def test_particles_come_as_often_as_the_posterior_says_and_log_z_is_the_evidence(size, mask, moves, random_model):
    model = random_model(NADE[0], ImageSpec(1, size, size, 2), seed=3, gain=2.5, **NADE[1])
    x, known = observed(size), ~preset_mask(mask, size, size, seed=1)
    images, p, log_z = posterior(model, x, known)
    particles = ParticleSettings(particles=64, repeats=400 if moves else 1500, moves=moves)
    work = completion_sampler(model, x, known, 4, SampleSettings(seed=2), method="particles", particles=particles)
    work.run()
    drawn = one_draw_each(work)
    assert (drawn.reshape(-1, size, size)[:, known] == x[0, known]).all()
    value, freedom = distance(drawn, images, p)
    assert value < chi_square_999(freedom), f"{value} with {freedom} degrees of freedom"
    z = np.exp(work.log_evidence() - log_z)
    error = z.std(ddof=1) / math.sqrt(len(z))
    assert abs(z.mean() - 1) < 4 * error + 1e-6, f"mean {z.mean()} ± {error}"


@pytest.mark.parametrize(("mask", "count"), [("top", 3), ("left", 2), ("random:0.5", 3)])
def test_a_pinned_particle_tells_how_probable_its_image_is_as_a_draw_by_few(mask, count, random_model):
    """q_N(x) = p(x) E[1 / Ẑ], against how often N particles draw x, which is far from the posterior."""
    model = random_model(NADE[0], ImageSpec(1, 3, 3, 2), seed=3, gain=4.0, **NADE[1])
    x, known = observed(3), ~preset_mask(mask, 3, 3, seed=1)
    images, p, log_z = posterior(model, x, known)
    particles = ParticleSettings(particles=count, repeats=6000)
    free = completion_sampler(model, x, known, 1, SampleSettings(seed=1), method="particles", particles=particles)
    free.run()
    drawn, apart = one_draw_each(free), 0.0
    for k in np.argsort(-p)[:4]:
        image = images[k].reshape(1, 3, 3)
        pinned = PinnedParticles(model, image, known, 1, SampleSettings(seed=2), particles=particles)
        pinned.run()
        terms = p[k] * np.exp(log_z - pinned.log_evidence())
        often, chance = (drawn == images[k]).all(1).mean(), terms.mean()
        error = math.sqrt(terms.var() / len(terms) + chance * (1 - chance) / len(drawn))
        assert abs(chance - often) < 4 * error
        assert -np.log(terms).mean() >= -math.log(chance)
        apart = max(apart, abs(often - p[k]) / error)
    assert apart > 4    # or the test could not tell the two distributions from one another


def test_a_pinned_particle_does_not_move(random_model):
    model = random_model(NADE[0], ImageSpec(1, 3, 3, 2), **NADE[1])
    with pytest.raises(SettingsError, match="cannot be moved"):
        PinnedParticles(
            model, observed(3), ~preset_mask("top", 3, 3), 1, SampleSettings(), particles=ParticleSettings(moves=1)
        )


@pytest.mark.parametrize("mask", PRESETS)
@pytest.mark.parametrize("size", [3, 4])
def test_an_exact_completion_comes_as_often_as_its_own_posterior_says(size, mask, random_model):
    model = random_model(LMCONV[0], ImageSpec(1, size, size, 2), seed=1, gain=2.5, **LMCONV[1])
    x, known = observed(size), ~preset_mask(mask, size, size, seed=1)
    first = exact_model(model, known)
    images, p, _ = posterior(first, x, known)
    result = complete(model, x, known, 1500, SampleSettings(seed=4), method="exact")
    value, freedom = distance(result.images.reshape(1500, -1), images, p)
    assert value < chi_square_999(freedom)
    np.testing.assert_allclose(
        hidden_log_prob(first, result.images[:50], known), result.log_prob[:50], atol=1e-4
    )
    shares = dict(zip(map(bytes, images.astype(np.uint8)), p, strict=True))
    expected = [math.log(shares[bytes(image.astype(np.uint8))]) for image in result.images[:50].reshape(50, -1)]
    np.testing.assert_allclose(result.log_prob[:50], expected, atol=1e-4)
    assert result.trust.level == "exact"


@pytest.mark.parametrize("mask", PRESETS)
def test_clamping_misses_the_posterior_exactly_where_it_ignores_known_pixels(mask, random_model):
    model = random_model(NADE[0], ImageSpec(1, 4, 4, 2), seed=3, gain=2.5, **NADE[1])
    x, known = observed(4), ~preset_mask(mask, 4, 4, seed=1)
    images, p, _ = posterior(model, x, known)
    result = complete(model, x, known, 1500, SampleSettings(seed=4))
    value, freedom = distance(result.images.reshape(1500, -1), images, p)
    if result.ignored:
        assert value > 1.5 * chi_square_999(freedom)
        assert result.trust.level == "poor"
    else:
        assert value < chi_square_999(freedom)
        assert result.trust.level == "exact"
    assert (result.ignored == 0) == (mask == "bottom")


@pytest.mark.parametrize("certainty", [0.3, 0.6, 1.0])
def test_soft_evidence_multiplies_the_posterior(certainty, random_model):
    """A hidden half with a brightness told about some of it, in a model of one order and in one of any order."""
    spec, known = ImageSpec(1, 3, 3, 2), ~preset_mask("left", 3, 3)
    known[2, 0] = False
    x = observed(3)
    said = np.zeros((3, 3))
    said[0, 0] = said[2, 0] = certainty
    evidence = Evidence(np.full(spec.shape, 0.8), said)

    def log_likelihood(images):
        if certainty == 1:
            return np.where((images[:, 0, [0, 2], 0] == 1).all(1), 0.0, -np.inf)
        s = (1 - certainty) / (2 * certainty)
        return (-0.5 * ((images[:, 0, [0, 2], 0] - 0.8) / s) ** 2).sum(1)

    for (name, config), gain in ((NADE, 2.5), (LMCONV, 2.5)):
        model = random_model(name, spec, seed=2, gain=gain, **config)
        particles = ParticleSettings(particles=64, repeats=1200)
        work = completion_sampler(
            model, x, known, 4, SampleSettings(seed=2), method="auto", particles=particles, evidence=evidence
        )
        assert work.kind == "particles"
        work.run()
        with np.errstate(divide="ignore"):
            images, p, log_z = posterior(work.model, x, known, log_likelihood)
        value, freedom = distance(one_draw_each(work), images, p)
        assert value < chi_square_999(freedom)
        z = np.exp(work.log_evidence() - log_z)
        assert abs(z.mean() - 1) < 4 * z.std(ddof=1) / math.sqrt(len(z)) + 1e-5
        result = work.finish()
        joint = dict(zip(map(bytes, images.astype(np.uint8)), p, strict=True))
        expected = [math.log(joint[bytes(image.astype(np.uint8))]) for image in result.images.reshape(4, -1)]
        np.testing.assert_allclose(result.log_prob, expected, atol=0.05)


def test_evidence_that_does_not_fit_is_refused(random_model):
    model, x, known = random_model("nade", ImageSpec(1, 3, 3, 4), hidden=4), np.zeros((1, 3, 3), int), np.zeros((3, 3), bool)
    value, sure = np.zeros((1, 3, 3)), np.full((3, 3), 0.5)
    for evidence, error, words in (
        (Evidence(value[:, :2], sure), SpecMismatch, "needs a brightness of shape"),
        (Evidence(value, sure[:2]), SpecMismatch, "needs a brightness of shape"),
        (Evidence(value, sure * 3), SettingsError, "certainty of soft evidence must be between 0"),
        (Evidence(value, sure * np.nan), SettingsError, "certainty of soft evidence must be between 0"),
        (Evidence(value - 1, sure), SettingsError, "brightness of soft evidence must be between 0 and 3"),
    ):
        with pytest.raises(error, match=words):
            complete(model, x, known, 2, method="auto", evidence=evidence)
    with pytest.raises(SettingsError, match="Soft evidence needs particles"):
        complete(model, x, known, 2, method="clamp", evidence=Evidence(value, sure))


KINDS = [
    (NADE, 0), (GATED, 2), (LMCONV, 0), (("order_agnostic", {"channels": 4, "dilations": (1,), "head": 4}), 0),
    (("made", {"hidden": 8, "orders": 0}), 0), (("pixelcnn", {"channels": 6, "blocks": 1, "head": 4}), 0),
]


@given(
    kind=st.sampled_from(KINDS), method=st.sampled_from(["auto", "clamp", "particles", "exact"]), seed=st.integers(0, 99),
    height=st.integers(1, 5), width=st.integers(1, 5), channels=st.sampled_from([1, 3]), levels=st.integers(2, 5),
    share=st.floats(0, 1), moves=st.integers(0, 1), temperature=st.sampled_from([0.0, 0.5, 1.0]), data=st.data(),
)
@settings(max_examples=40)
def test_known_sites_come_back_bit_for_bit_in_every_method_size_and_mode(
    kind, method, seed, height, width, channels, levels, share, moves, temperature, data, random_model
):
    (name, config), classes = kind
    spec, rng = ImageSpec(channels, height, width, levels), np.random.default_rng(seed)
    model = random_model(name, spec, classes, **config)
    x, known = rng.integers(0, levels, spec.shape), rng.random((height, width)) < share
    known.reshape(-1)[rng.integers(known.size)] = False
    guidance = 1.0 if classes and data.draw(st.booleans()) else 0.0
    order = SampleSettings(seed=seed, temperature=temperature, guidance=guidance)
    particles = ParticleSettings(particles=5, repeats=2, moves=moves)
    if method == "exact" and not model.any_order and ignored_pixels(model, known):
        with pytest.raises(SettingsError, match="choose particles"):
            completion_sampler(model, x, known, 3, order, method=method)
        return
    work = completion_sampler(model, x, known, 3, order, 1 if classes else None, method=method, particles=particles)
    work.run()
    result = work.finish()
    assert result.finished
    assert (result.images[:, :, known] == x[:, known]).all()
    assert ((result.images >= 0) & (result.images < levels)).all()
    assert np.isfinite(result.log_prob).all()
    assert np.array_equal(result.trace.images(), result.images)
    again = completion_sampler(model, x, known, 3, order, 1 if classes else None, method=method, particles=particles)
    again.run()
    assert np.array_equal(again.finish().images, result.images)


def test_reals_are_completed_by_particles_too(random_model):
    spec = ImageSpec(1, 3, 3, 0)
    model = random_model("rnade", spec, hidden=6, components=2)
    x, known = np.random.default_rng(0).random(spec.shape), ~preset_mask("top", 3, 3)
    evidence = Evidence(np.full(spec.shape, 0.9), np.full((3, 3), 0.9))
    for moves, told in ((0, None), (1, None), (0, evidence)):
        particles = ParticleSettings(particles=200, moves=moves)
        result = complete(model, x, known, 5, SampleSettings(seed=1), method="particles", particles=particles, evidence=told)
        assert (result.images[:, :, known] == x[:, known]).all()
        assert np.isfinite(result.images).all()
        assert np.isfinite(result.log_prob).all()
        assert len(np.unique(result.images[:, 0, 0, 0])) > 1
    assert abs(result.images[:, :, ~known] - 0.9).mean() < 0.3
    with pytest.raises(SettingsError, match=r"take 0\.99"):
        complete(model, x, known, 5, method="particles", evidence=Evidence(evidence.value, np.ones((3, 3))))


class After(Progress):
    """Cancels after some sites."""

    def __init__(self, sites):
        self.left = sites

    def cancelled(self):
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("method", ["clamp", "particles"])
def test_a_stopped_completion_keeps_what_is_there_and_can_go_on(method, random_model):
    model = random_model("nade", ImageSpec(1, 4, 4, 3), hidden=6)
    x, known = np.ones((1, 4, 4), int), ~preset_mask("left", 4, 4)
    work = completion_sampler(model, x, known, 3, SampleSettings(seed=1), method=method)
    if method == "particles":
        with pytest.raises(Cancelled):
            work.run(After(9))
    work.run(until=10)
    found = work.finish()
    assert not found.finished
    assert found.trust.level == "poor"
    assert (found.images[:, :, known] == 1).all()
    assert (found.images[:, 0, :2, :2] >= 0).all()
    assert (found.images[:, 0, 3, :2] == -1).all()
    work.run()
    assert work.finish().finished
    if method == "particles":
        with pytest.raises(SettingsError, match="cannot go back"):
            work.rewind(3)


def test_a_stop_is_answered_without_another_look_at_the_model(random_model, monkeypatch):
    model = random_model("gated_pixelcnn", ImageSpec(1, 6, 6, 2), **GATED[1])
    x, known = np.ones((1, 6, 6), int), ~preset_mask("left", 6, 6)
    particles = ParticleSettings(particles=64)
    work = completion_sampler(model, x, known, 5, SampleSettings(seed=1), method="particles", particles=particles)
    work.run(until=20)
    values = work.values[:20].copy()
    for where in (type(model), type(work.decoder)):
        for name in {"forward", "params", "push", "follow", "enter", "look"} & set(dir(where)):
            monkeypatch.setattr(where, name, None)
    found = work.finish()
    assert (found.images[:, 0, :3, :3] >= 0).all()
    assert {tuple(row) for row in found.trace.values[:, :20]} <= {tuple(column) for column in values.T}
    assert np.isfinite(found.log_prob).all()
    assert (found.trace.entropies[:, :20] > 0).all()


def test_a_stop_in_the_middle_of_a_move_leaves_weights_as_they_were_meant(random_model):
    """Stopped again and again at random moments, it still ends with the posterior."""
    class Nervous(Progress):
        def __init__(self):
            self.rng = np.random.default_rng(0)

        def cancelled(self):
            return self.rng.random() < 0.3

    model = random_model("nade", ImageSpec(1, 3, 3, 2), seed=3, gain=2.5, hidden=10)
    x, known = observed(3), ~preset_mask("top", 3, 3)
    images, p, log_z = posterior(model, x, known)
    particles, stops = ParticleSettings(particles=64, repeats=400, moves=6), 0
    work = completion_sampler(model, x, known, 4, SampleSettings(seed=2), method="particles", particles=particles)
    nervous = Nervous()
    while not work.trace.complete:
        try:
            work.run(nervous)
        except Cancelled:
            stops += 1
            assert np.isfinite(work.finish().population.log_evidence)
    assert stops >= 2
    value, freedom = distance(one_draw_each(work), images, p)
    assert value < chi_square_999(freedom)
    z = np.exp(work.log_evidence() - log_z)
    assert abs(z.mean() - 1) < 4 * z.std(ddof=1) / math.sqrt(len(z)) + 1e-5


def test_the_trace_of_particles_holds_what_the_model_says_of_them(random_model):
    model = random_model("gated_pixelcnn", ImageSpec(1, 4, 4, 4), **GATED[1])
    x, known = np.ones((1, 4, 4), int), ~preset_mask("top", 4, 4)
    result = complete(model, x, known, 6, SampleSettings(seed=1), method="particles")
    trace = result.trace
    assert trace.complete
    with torch.inference_mode():
        images = torch.from_numpy(result.images)
        log_p = model.log_prob_sites(images).flatten(1)[:, trace.sites].double().numpy()
        pmf = model.likelihood.log_pmf(model(images)).exp().flatten(2)[:, :, trace.sites].double().numpy()
    np.testing.assert_allclose(trace.log_probs, log_p, atol=1e-4)
    np.testing.assert_allclose(trace.entropies, -(pmf * np.log(pmf)).sum(1), atol=1e-4)
    assert trace.pmfs.size == 0
    assert (trace.origin[:, 8:] == 1).all()
    np.testing.assert_allclose(result.log_prob, log_p.sum(1) - result.population.log_evidence, atol=1e-3)


def test_auto_says_which_and_why(random_model):
    spec = ImageSpec(1, 4, 4, 2)
    raster, anything = random_model("nade", spec, hidden=4), random_model(LMCONV[0], spec, **LMCONV[1])
    x, top, bottom = observed(4), ~preset_mask("top", 4, 4), ~preset_mask("bottom", 4, 4)
    choices = {}
    for name, model, known, budget in (
        ("exact by luck", raster, bottom, 0), ("particles", raster, top, 0), ("exact by order", anything, top, 0),
        ("no time", raster, top, 1e-9),
    ):
        work = completion_sampler(model, x, known, 2, SampleSettings(), method="auto", seconds=budget)
        choices[name] = work.kind, work.reason
        assert work.reason.startswith("Chosen because ")
        assert work.reason.count(".") == 1 or budget
    assert [kind for kind, _ in choices.values()] == ["exact", "particles", "exact", "clamp"]
    assert "every known pixel comes before every hidden one" in choices["exact by luck"][1]
    assert "8 known pixels come after a hidden one" in choices["particles"][1]
    assert "128 particles" in choices["particles"][1]
    assert "any order" in choices["exact by order"][1]
    assert "allow fewer than 16 particles" in choices["no time"][1]
    assert completion_sampler(raster, x, top, 2, SampleSettings(), method="clamp").reason == ""


@pytest.mark.parametrize(("change", "words"), [
    ({"particles": 1}, "particles must be at least 2, not 1"), ({"repeats": 0}, "repeats must be at least 1"),
    ({"moves": -1}, "moves must be 0"), ({"threshold": 0.0}, "threshold must be above 0"),
    ({"particles": 1 << 19, "repeats": 3}, "at most 1,048,576"),
])
def test_particles_there_cannot_be_are_refused(change, words):
    with pytest.raises(SettingsError, match=words):
        ParticleSettings(**change)


def test_ways_there_are_not_are_refused(random_model):
    model, x, known = random_model("nade", ImageSpec(1, 3, 3, 2), hidden=4), observed(3), ~preset_mask("top", 3, 3)
    for options, words in (
        ({"method": "guess"}, "There is no way to complete called 'guess'"), ({"method": "exact"}, "choose particles"),
    ):
        with pytest.raises(SettingsError, match=words):
            complete(model, x, known, 2, **options)
    with pytest.raises(SettingsError, match="at least 1, not 0"):
        complete(model, x, known, 0, method="particles")
    with pytest.raises(SettingsError, match="time budget"):
        completion_sampler(model, x, known, 2, SampleSettings(), method="auto", seconds=-1)
    classes = random_model("gated_pixelcnn", ImageSpec(1, 3, 3, 2), 3, **GATED[1])
    with pytest.raises(SettingsError, match="give a single class"):
        complete(classes, x, known, 2, y=torch.tensor([0, 1]), method="particles")
    assert complete(classes, x, known, 2, y=torch.tensor([1, 1]), method="particles").trace.classes.tolist() == [1, 1]


def test_more_particles_and_moves_leave_more_beginnings(random_model):
    model = random_model("nade", ImageSpec(1, 4, 4, 2), seed=3, gain=4.0, hidden=10)
    x, known = observed(4), ~preset_mask("top", 4, 4)
    found = {}
    for n, moves in ((4, 0), (256, 0), (256, 3)):
        particles = ParticleSettings(particles=n, repeats=2, moves=moves)
        found[n, moves] = complete(model, x, known, 4, SampleSettings(seed=3), method="particles", particles=particles)
    few, many, moved = (result.population for result in found.values())
    assert few.ancestors < many.ancestors
    assert few.effective < many.effective
    assert many.trust.level != "poor"
    assert "512 particles agree on" in many.trust.words
    assert "2 separate runs differ by" in many.trust.words
    assert moved.moves > 0
    assert 0 < moved.accepted <= 1
    assert moved.effective >= many.effective


@pytest.mark.parametrize(("log_z", "effective_number", "ancestors", "level"), [
    ([-3.0, -3.1], 60, 50, "good"), ([-3.0], 60, 50, "good"), ([-3.0, -5.0], 60, 50, "fair"), ([-3.0], 6, 50, "fair"),
    ([-3.0], 60, 5, "fair"), ([-3.0], 1.5, 50, "poor"), ([-3.0], 60, 1, "poor"), ([-3.0, -30.0], 60, 50, "poor"),
])
def test_trust_needs_effective_particles_beginnings_and_repeats_that_agree(log_z, effective_number, ancestors, level):
    assert Population(128, np.array(log_z), effective_number, ancestors).trust.level == level


def test_weights_are_worked_with_in_logs():
    log_w = np.array([[0.0, -1.0, -2000.0, -np.inf], [-np.inf] * 4, [-3000.0] * 4])
    np.testing.assert_allclose(log_mean(log_w)[[0, 2]], [math.log((1 + math.exp(-1)) / 4), -3000.0])
    assert log_mean(log_w)[1] == -np.inf
    np.testing.assert_allclose(normalised(log_w).sum(1), 1.0)
    np.testing.assert_allclose(effective(log_w)[1:], 4.0)
    assert tempered(np.array([[0.0, -100.0, -100.0, -100.0], [0.0, 0.0, 0.0, 0.0]]), 2.0).tolist() == [1 / 64, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.floats(0, 1, exclude_max=True), st.integers(1, 20))
def test_systematic_resampling_takes_each_as_often_as_its_weight_says_up_to_one(weights, u, count):
    w = np.array([[*weights, 0.01]])
    w /= w.sum()
    index = systematic(w, np.array([u]), count)
    assert (np.diff(index[0]) >= 0).all()
    often = np.bincount(index[0], minlength=w.shape[1])
    assert (abs(often - w[0] * count) < 1 + 1e-9).all()
    assert (often[w[0] == 0] == 0).all()


def test_hidden_log_prob_of_an_order_with_the_known_first_is_the_conditional(random_model):
    model = random_model("made", ImageSpec(1, 3, 3, 2), gain=2.5, hidden=12, orders=0)
    x, known = observed(3), ~preset_mask("random:0.5", 3, 3, seed=2)
    first = exact_model(model, known)
    assert first.order != model.order
    images, p, _ = posterior(first, x, known)
    found = hidden_log_prob(first, images.reshape(-1, 1, 3, 3), known)
    np.testing.assert_allclose(found, np.log(p), atol=1e-5)
    column = random_model("nade", ImageSpec(1, 3, 3, 2), hidden=4, order="column")
    assert exact_model(column, ~preset_mask("right", 3, 3)) is column
    assert column.order == Order("column", 3, 3)


@given(st.lists(st.integers(0, 8), min_size=9, max_size=9))
def test_particles_that_go_on_keep_their_places(index):
    places = in_place(np.array(index))
    assert sorted(places) == sorted(index)
    assert all(places[i] == i for i in set(index))
