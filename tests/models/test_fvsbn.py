"""Logistic autoregression in full and as a Markov chain of any order."""

import pytest
import torch

from arstudio.image import ImageSpec
from arstudio.models import create, load_model
from arstudio.models.registry import make_config

SPEC = ImageSpec(1, 4, 5, 3)


def test_the_conditional_of_a_site_is_the_published_regression(random_model):
    model = random_model("fvsbn", SPEC, dtype=torch.float64, inputs="one_hot")
    x = torch.randint(0, 3, (1, *SPEC.shape))
    flat, t = x.flatten(), 11
    logits = model.bias[t] + sum(model.weight[t, :, s, flat[s]] for s in range(t))
    torch.testing.assert_close(model(x).flatten(2)[0, :, t], logits)


@pytest.mark.parametrize("t", [0, 2, 4, 5, 19])
@pytest.mark.parametrize("inputs", ["scaled", "one_hot"])
def test_a_context_of_k_sites_is_the_same_regression_on_the_last_k(inputs, t, random_model):
    k = 4
    model = random_model("fvsbn", SPEC, dtype=torch.float64, inputs=inputs, context=k, order="snake")
    x = torch.randint(0, 3, (1, *SPEC.shape))
    e = model.encode(x).flatten(2)[0, :, model.site_index].T                        # (D, E), in order
    expected = model.bias[t] + sum(model.weight[t, :, k - t + s] @ e[s] for s in range(max(0, t - k), t))
    torch.testing.assert_close(model(x).flatten(2)[0, :, model.site_index[t]], expected)


def test_the_longest_context_is_the_whole_past(random_model):
    full = random_model("fvsbn", SPEC, dtype=torch.float64)
    chain = random_model("fvsbn", SPEC, dtype=torch.float64, context=19)
    with torch.no_grad():
        chain.bias.copy_(full.bias)
        for t in range(20):
            chain.weight[t, :, 19 - t:] = full.weight[t, :, :t]
    x = torch.randint(0, 3, (6, *SPEC.shape))
    torch.testing.assert_close(chain(x), full(x))


def test_only_the_weights_of_the_context_are_stored():
    spec = ImageSpec(1, 28, 28, 2)
    for context in (1, 30):
        model = create("fvsbn", spec, context=context)
        assert model.num_parameters == 784 * context + 784 == model.config.parameters(spec)
    assert make_config("fvsbn", {}).parameters(spec) == 784 * 784 + 784
    assert make_config("fvsbn", {"context": 500}).weights(ImageSpec(1, 300, 300, 2)) == 45_000_000    # whole: 8,100


def test_a_decoder_with_a_context_reads_no_older_site(random_model):
    model = random_model("fvsbn", SPEC, dtype=torch.float64, context=3)
    decoder = model.decoder(2)
    for _ in range(12):
        decoder.push(torch.tensor([1, 2]))
    expected = decoder.params()
    with torch.inference_mode():
        decoder.phi[:, :9] = torch.nan
    assert torch.equal(decoder.params(), expected)


def test_the_components_of_a_mixture_begin_apart():
    model = create("fvsbn", ImageSpec(1, 4, 4, 0), components=3)
    model.log_prob(torch.full((8, 1, 4, 4), 0.3)).sum().backward()
    gradient = model.bias.grad[:, 3:6]
    assert (gradient[:, 0] - gradient[:, 1]).abs().min() > 0.1 * gradient.abs().max()


def test_the_bundled_model_still_opens_and_is_as_good():
    model, card = load_model("digits-fvsbn")
    assert model.config.context == 0
    assert model.weight.shape == (64, 17, 64, 1)
    assert card.facts.nats == pytest.approx(87.36, abs=0.01)


@pytest.mark.parametrize("context", [0, 1, 4, 19])
def test_the_counts_that_are_shown_are_those_of_the_weights_that_learn(context, random_model):
    model = random_model("fvsbn", SPEC, context=context, inputs="one_hot")
    model.loss(torch.randint(0, 3, (200, *SPEC.shape), generator=torch.Generator().manual_seed(0))).mean().backward()
    used = sum(int((p.grad != 0).sum()) for p in (model.weight, model.bias))
    assert used == model.config.regressions(SPEC, context)
    assert f"{used:,} parameters" in model.config.facts(SPEC)["regressions"]


def test_both_counts_are_shown_side_by_side():
    shown = make_config("fvsbn", {}).facts(ImageSpec(1, 28, 28, 2))["regressions"]
    assert shown == "on the whole past 307,720 parameters, on the 28 sites before 22,330 parameters"
