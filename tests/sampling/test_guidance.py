"""Classifier-free guidance: the distribution it draws from, what the trace keeps, and where it cannot be."""

import numpy as np
import pytest
import torch

from arstudio.image import ImageSpec
from arstudio.sampling import Sampler, SampleSettings, SettingsError, complete, sample
from arstudio.sampling.draw import guide

SPEC = ImageSpec(1, 3, 4, 4)
WAYS = ("incremental", "jacobi", "naive")


@pytest.fixture
def model(random_model):
    return random_model("nade", SPEC, 3, hidden=9, seed=2)


def test_guidance_multiplies_by_the_ratio_to_the_power_w():
    with_class, without = np.array([[0.6, 0.3, 0.1]]), np.array([[0.2, 0.3, 0.5]])
    expected = with_class**2.5 / without**1.5
    np.testing.assert_allclose(np.exp(guide(np.log(with_class), np.log(without), 1.5)), expected / expected.sum())
    np.testing.assert_allclose(np.exp(guide(np.log(with_class), np.log(without), 0.0)), with_class)


def test_what_the_class_rules_out_stays_ruled_out_and_nothing_is_no_number():
    with np.errstate(divide="ignore"):
        with_class, without = np.log([[1.0, 0.0, 0.0]]), np.log([[0.0, 0.0, 1.0]])
        both = np.log([[0.5, 0.5]]), np.log([[1.0, 0.0]])
    assert np.exp(guide(with_class, without, 3.0)).tolist() == [[1, 0, 0]]
    assert np.isfinite(guide(*both, 100.0)[:, 1]).all()


@pytest.mark.parametrize("method", WAYS)
def test_draws_follow_the_guided_distribution_and_the_trace_tells_of_the_unguided_one(random_model, method):
    count, y, model = 4000, 1, random_model("nade", SPEC, 3, hidden=9, gain=3, seed=4)
    trace = Sampler(model, SampleSettings(seed=5, guidance=2.0), count, y, method=method).run(until=1)
    blank = torch.zeros(1, *SPEC.shape, dtype=torch.long)
    with torch.inference_mode():
        own, none = (model.likelihood.log_pmf(model(blank, c).double())[:, :, 0, 0, 0] for c in (y, None))
    expected = np.exp(guide(own.numpy(), none.numpy(), 2.0))[0]
    seen = np.bincount(trace.values[:, 0], minlength=4) / count
    assert np.abs(seen - expected).max() < 4 * np.sqrt(0.25 / count)
    assert np.abs(own.exp()[0].numpy() - expected).max() > 0.05, "guidance must matter for this test to say anything"
    assert trace.pmfs[0, 0] == pytest.approx(own.exp()[0].numpy(), abs=1e-6)
    assert trace.log_probs[:, 0] == pytest.approx(own[0].numpy()[trace.values[:, 0]], abs=1e-6)
    assert trace.classes.tolist() == [1] * count


def test_log_probabilities_are_those_of_the_conditional_model(model):
    y = torch.tensor([0, 2, 1])
    trace = sample(model, 3, SampleSettings(seed=1, guidance=3.0, temperature=0.7), y)
    with torch.inference_mode():
        expected = model.log_prob(torch.from_numpy(trace.images()).long(), y).numpy()
    assert trace.log_probs.sum(1) == pytest.approx(expected, abs=1e-4)
    assert trace.classes.tolist() == [0, 2, 1]


def test_no_guidance_is_the_same_drawing_as_before(model):
    plain = sample(model, 4, SampleSettings(seed=3), 2)
    barely = sample(model, 4, SampleSettings(seed=3, guidance=1e-12), 2)
    assert np.array_equal(plain.values, barely.values)


@pytest.mark.parametrize("method", WAYS)
def test_going_back_changing_and_drawing_anew_work_under_guidance(model, method):
    sampler = Sampler(model, SampleSettings(seed=3, guidance=1.5), 3, torch.arange(3), method=method)
    before = sampler.run().values.copy()
    for step in (11, 4, 0):
        sampler.rewind(step)
        assert np.array_equal(sampler.run().values, before)
    value = (int(before[1, 5]) + 1) % 4
    sampler.change(1, 5, value)
    after = sampler.run().values.copy()
    assert after[1, 5] == value
    assert np.array_equal(after[1, :5], before[1, :5])
    assert np.array_equal(after[[0, 2]], before[[0, 2]])
    sampler.redraw(6, 99)
    assert np.array_equal(sampler.run().values[:, :6], after[:, :6])
    fresh = Sampler(model, SampleSettings(seed=3, guidance=1.5), 3, torch.arange(3), method=WAYS[WAYS.index(method) - 1])
    fresh.run()
    fresh.change(1, 5, value)
    fresh.run()
    fresh.redraw(6, 99)
    assert np.array_equal(fresh.run().values, sampler.trace.values)


def test_both_halves_of_the_decoder_take_the_same_values(model):
    sampler = Sampler(model, SampleSettings(seed=3, guidance=1.5), 3, 0)
    sampler.run()
    assert torch.equal(sampler.decoder.x[:3], sampler.decoder.x[3:])
    assert sampler.decoder.classes.tolist() == [0, 0, 0, 3, 3, 3]
    assert sampler.classes.tolist() == [0, 0, 0]


def test_a_completion_may_be_guided(model):
    x, known = np.zeros(SPEC.shape, dtype=np.int64), np.zeros((3, 4), dtype=bool)
    known[0] = True
    found = complete(model, x, known, 4, SampleSettings(guidance=2.0), 1)
    assert (found.images[:, :, 0] == 0).all()


@pytest.mark.parametrize(("classes", "config", "y", "sentence"), [
    (0, {}, None, "Guidance needs a model of classes, and this one was trained without"),
    (3, {}, None, "Guidance leads towards a class: choose one for every image"),
    (3, {}, torch.tensor([0, -1]), "Guidance leads towards a class"),
    (3, {"class_dropout": 0.0}, 1, "which this one never learned"),
])
def test_where_guidance_cannot_be_a_sentence_says_so(random_model, classes, config, y, sentence):
    model = random_model("nade", SPEC, classes, hidden=4, **config)
    with pytest.raises(SettingsError, match=sentence):
        Sampler(model, SampleSettings(guidance=1.0), 2, y)
    if not classes:
        Sampler(model, SampleSettings(), 2, y)


@pytest.mark.parametrize("weight", [-0.1, 101, float("nan"), float("inf")])
def test_impossible_weights_are_refused(weight):
    with pytest.raises(SettingsError, match="guidance must be between 0"):
        SampleSettings(guidance=weight)
