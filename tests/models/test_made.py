"""MADE: masks as published, never inside the weights; each unit once; a mixture of orders is a distribution."""

import copy
import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from arstudio.image import ImageSpec
from arstudio.models import ConfigError, create, load_model, save_model
from arstudio.models.orders import Order

SPEC, TINY = ImageSpec(1, 3, 4, 3), ImageSpec(1, 2, 2, 2)


def every(spec):
    return torch.cartesian_prod(*[torch.arange(spec.levels)] * spec.sites).view(-1, *spec.shape)


def test_the_conditionals_are_the_published_formula_unit_by_unit(random_model):
    model = random_model("made", SPEC, dtype=torch.float64, hidden=7, layers=2, order="spiral", mask_seed=3)
    x = torch.randint(0, 3, (1, *SPEC.shape))
    phi, order = model.encode(x).flatten(), model.site_index.tolist()
    rank = {site: place + 1 for place, site in enumerate(order)}
    first, second = model.degrees[0].tolist()
    h1 = [F.relu(model.b[k] + sum(model.W[k, s, 0] * phi[s] for s in range(12) if first[k] >= rank[s])) for k in range(7)]
    deep = model.deeper[0]
    h2 = [
        F.relu(deep.bias[k] + sum(deep.weight[k, j] * h1[j] for j in range(7) if second[k] >= first[j])) for k in range(7)
    ]
    out = model(x).flatten(2)[0]
    for s in range(12):
        expected = model.c[s] + sum(model.V[s, :, k] * h2[k] for k in range(7) if rank[s] > second[k])
        expected = expected + sum(model.A[s, :, r, 0] * phi[r] for r in range(12) if rank[s] > rank[r])
        torch.testing.assert_close(out[:, s], expected)


def test_degrees_are_uniform_and_never_leave_a_unit_without_inputs():
    model = create("made", ImageSpec(1, 4, 4, 2), hidden=3000, layers=3, masks=4)
    assert model.degrees.shape == (4, 3, 3000)
    assert (model.degrees.min(), model.degrees.max()) == (1, 15)
    shares = torch.bincount(model.degrees[:, 0].flatten(), minlength=16)[1:] / 12_000
    torch.testing.assert_close(shares, torch.full((15,), 1 / 15), atol=0.01, rtol=0)
    for degrees in create("made", ImageSpec(1, 6, 6, 2), hidden=4, layers=4, masks=50).degrees:
        lows = degrees.min(1).values
        assert (lows[1:] >= lows[:-1]).all()
    assert not torch.equal(model.degrees[0], model.degrees[1])


def test_masks_come_from_the_seed_of_the_config_so_a_loaded_model_is_the_same(tmp_path, random_model):
    model = random_model("made", SPEC, hidden=9, masks=3, orders=2, mask_seed=8)
    save_model(tmp_path / "m.safetensors", model)
    torch.manual_seed(123)
    again, _ = load_model(tmp_path / "m.safetensors")
    assert torch.equal(again.degrees, model.degrees)
    assert again.trained_orders == model.trained_orders
    other = create("made", SPEC, hidden=9, masks=3, orders=2, mask_seed=9)
    assert not torch.equal(other.degrees, model.degrees)
    assert other.trained_orders != model.trained_orders


def test_cycling_masks_and_orders_in_training_never_changes_a_weight(random_model):
    """Masks multiplied into the weights would wear the network away; here only the optimiser writes to it."""
    model = random_model("made", SPEC, hidden=40, layers=2, masks=4, orders=3, num_classes=2).train()
    before, x = copy.deepcopy(model.state_dict()), torch.randint(0, 3, (64, *SPEC.shape))
    for _ in range(20):
        model.loss(x, 1).mean().backward()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert (model.W.grad != 0).float().mean() > 0.9, "connections that one mask forbids are open in another"


def test_training_draws_masks_and_orders_from_torch_and_evaluation_does_not(random_model):
    model, x = random_model("made", SPEC, hidden=9, masks=3, orders=2), torch.randint(0, 3, (2, *SPEC.shape))
    assert torch.equal(model.loss(x), -model.log_prob(x))
    ways = {tuple(-member.log_prob(x).detach().numpy()) for member in model.members()}
    assert len(ways) == 6
    model.train()
    torch.manual_seed(0)
    first = [tuple(model.loss(x).detach().numpy()) for _ in range(60)]
    assert set(first) == ways
    torch.manual_seed(0)
    assert [tuple(model.loss(x).detach().numpy()) for _ in range(60)] == first
    always_new = random_model("made", SPEC, hidden=9, orders=0).train()
    assert len({always_new.loss(x)[0].item() for _ in range(30)}) == 30


def test_probabilities_of_whole_images_are_averaged_and_logits_must_not_be(random_model):
    model = random_model("made", TINY, gain=4, dtype=torch.float64, hidden=9, masks=2, orders=3, mask_seed=1)
    x = every(TINY)
    mixture = model.ensemble_log_prob(x).exp()
    assert mixture.sum().item() == pytest.approx(1, abs=1e-12)
    ways = torch.stack([member.log_prob(x).exp() for member in model.members()])
    assert len(ways) == 6
    torch.testing.assert_close(mixture, ways.mean(0))
    logits = torch.stack([member(x) for member in model.members()]).mean(0)
    wrong = model.likelihood.log_prob(logits, x).flatten(1).sum(1).exp()
    assert abs(wrong.sum().item() - 1) > 0.01, "an average of logits would be no distribution"
    orders = [Order("column", 2, 2), Order("raster", 2, 2)]
    assert model.ensemble_log_prob(x, None, orders).exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_a_model_with_one_order_has_no_ensemble():
    with pytest.raises(ConfigError, match="NADE draws in the order it was trained in only"):
        create("nade", TINY).ensemble_log_prob(every(TINY))


def test_a_hidden_unit_is_computed_once_however_long_the_drawing(random_model):
    model = random_model("made", ImageSpec(1, 4, 4, 2), dtype=torch.float64, hidden=20, layers=2)
    decoder, counts = model.decoder(1), torch.zeros(2, 20)
    for t in range(16):
        counts += torch.stack([h[0] != h[0] for h in decoder.hidden])
        with torch.inference_mode():
            for h in decoder.hidden:
                h.fill_(torch.nan)
        decoder.push(torch.tensor([t % 2]))
        ready = decoder.ready[t + 1]
        new = [ready[i] - decoder.ready[t][i] for i in range(2)]
        written = [int((h == h).sum()) for h in decoder.hidden]
        assert written[0] == new[0]
        assert written[1] <= new[1]
    assert decoder.ready[15] == [20, 20]


@pytest.mark.parametrize("direct", [False, True])
def test_a_single_pixel_has_no_past_and_still_a_distribution(direct, random_model):
    spec = ImageSpec(1, 1, 1, 5)
    model = random_model("made", spec, 2, hidden=3, direct=direct, dtype=torch.float64)
    p = model.log_prob(every(spec), 1).exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-12)
    assert p.max() > 1.2 * p.min()


def test_the_parameters_of_the_paper_are_those_of_two_layers_of_8000_on_784_pixels():
    config = create("made", TINY).config
    paper = type(config)(**type(config).presets["paper"])
    assert paper.parameters(ImageSpec(1, 28, 28, 2)) == 2 * 784 * 8000 + 8000**2 + 2 * 8000 + 784
    assert math.log10(paper.parameters(ImageSpec(1, 28, 28, 2))) < 8


def test_all_images_of_a_tiny_kind_have_probability_one_in_each_mask_and_order(random_model):
    model = random_model("made", TINY, gain=3, dtype=torch.float64, hidden=8, masks=3, orders=2)
    for order, mask in itertools.product([Order("raster", 2, 2), Order.custom([3, 0, 2, 1], 2, 2)], range(3)):
        assert model.variant(order, mask).log_prob(every(TINY)).exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert model.mask == 0
