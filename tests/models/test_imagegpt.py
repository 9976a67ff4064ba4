"""ImageGPT: attention by its formula, a step a token, and three kinds of tokens that are exact on the original levels."""

import math

import numpy as np
import pytest
import torch

from arstudio.image import ImageSpec
from arstudio.models import create, load_model, make_config, preset_settings, save_model
from arstudio.models.attention import Memory, causal_attention
from arstudio.models.tokens import SPREAD, spread_colours
from arstudio.training.config import TrainConfig
from arstudio.training.setup import DataView, new_trainer, resume_trainer

TINY = {"layers": 2, "width": 8, "heads": 2}


def by_the_formula(q, k, v, strict):
    out = torch.zeros_like(v)
    for t in range(q.shape[2]):
        last = t if strict else t + 1
        if last:
            scores = (q[:, :, t, None] * k[:, :, :last]).sum(-1) / math.sqrt(q.shape[-1])
            out[:, :, t] = (scores.softmax(-1)[..., None] * v[:, :, :last]).sum(-2)
    return out


def some_attention(length, key, value):
    torch.manual_seed(length)
    shapes = ((2, 3, length, key), (2, 3, length, key), (2, 3, length, value))
    return [torch.randn(*shape, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("length", "key", "value"), [(6, 4, 4), (1, 4, 4), (5, 2, 7), (7, 5, 3)])
def test_attention_over_a_sequence_and_from_memory_is_the_formula(length, key, value, strict):
    q, k, v = some_attention(length, key, value)
    expected = by_the_formula(q, k, v, strict)
    torch.testing.assert_close(causal_attention(q, k, v, strict=strict), expected)
    for kind in (lambda t: t, lambda t: t.numpy()):
        memory = Memory(2, 3, length, key, value, q)
        if isinstance(kind(q), torch.Tensor):
            memory._keys, memory._values = memory.tensors    # as on a device without arrays
        for t in range(length):
            if strict:
                found = memory.attend(kind(q[:, :, t]), t)
            memory.write(t, kind(k[:, :, t]), kind(v[:, :, t]))
            if not strict:
                found = memory.attend(kind(q[:, :, t]), t + 1)
            torch.testing.assert_close(torch.as_tensor(found), expected[:, :, t])


def test_strict_attention_gives_the_first_place_zero_and_every_gradient_is_finite():
    q, k, v = (t.requires_grad_() for t in some_attention(4, 4, 4))
    out = causal_attention(q, k, v, strict=True)
    assert torch.equal(out[:, :, 0], torch.zeros_like(out[:, :, 0]))
    out.sum().backward()
    assert all(torch.isfinite(t.grad).all() for t in (q, k, v))
    assert v.grad[:, :, -1].abs().sum() == 0
    assert v.grad[:, :, 0].abs().sum() > 0


def test_the_published_small_model_has_76_million_weights():
    config = make_config("imagegpt", preset_settings("imagegpt", "paper") | {"tokens": "palette"})
    assert (config.layers, config.width, config.heads, config.palette) == (24, 512, 8, 512)
    assert 76e6 < config.parameters(ImageSpec(3, 32, 32, 256)) < 77e6


@pytest.mark.parametrize(("settings", "steps"), [
    ({}, 3 * 5 * 3), ({"tokens": "palette", "palette": 5}, 3 * 5), ({"tokens": "patches"}, 2 * 3),
    ({"tokens": "patches", "patch": 4}, 1 * 2),
])
def test_the_transformer_takes_one_step_a_token_and_going_back_costs_one_more(settings, steps, random_model):
    model = random_model("imagegpt", ImageSpec(3, 3, 5, 4), **TINY, **settings)
    decoder, places = model.decoder(2), []
    for block in decoder.model.blocks:
        block.register_forward_hook(lambda module, args, out: places.append((args[0].shape, args[2])))
    value = torch.ones(2, dtype=torch.long)
    for _ in range(45):
        decoder.params()
        decoder.params()
        decoder.push(value)
    assert places == [(torch.Size([2, 8]), n) for n in range(steps) for _ in range(2)]
    places.clear()
    decoder.rewind(20)
    decoder.params()
    assert len(places) == 2


def all_pixels(levels):
    return torch.cartesian_prod(*[torch.arange(levels)] * 3)


def test_a_palette_gives_the_mixture_it_stands_for_over_all_images_of_two_rgb_pixels(random_model):
    spec = ImageSpec(3, 2, 1, 3)
    model = random_model("imagegpt", spec, tokens="palette", palette=5, dtype=torch.float64, gain=2.5, **TINY)
    pixels, tables = all_pixels(3), model.tokens.tables()
    assert tables.shape == (3, 5, 3)
    torch.testing.assert_close(tables.sum(-1), torch.ones(3, 5, dtype=torch.float64))
    pairs = torch.cartesian_prod(torch.arange(27), torch.arange(27))
    images = pixels[pairs].permute(0, 2, 1).view(-1, 3, 2, 1)                  # (729, C, H, W)
    hidden = []
    model.tokens.read.register_forward_hook(lambda module, args, z: hidden.append(z))
    with torch.inference_mode():
        log_p = model.log_prob(images)
    weights = hidden[0].softmax(-1)                                            # (729, 2, K)
    expected = torch.ones(729, dtype=torch.float64)
    for n in range(2):
        each = weights[:, n].clone()
        for c in range(3):
            each = each * tables[c][:, images[:, c, n, 0]].T
        expected = expected * each.sum(-1)
    torch.testing.assert_close(log_p.exp(), expected)
    assert float(expected.detach().sum()) == pytest.approx(1, abs=1e-12)
    together = log_p.exp().view(27, 27).sum(1).view(3, 3, 3)                   # no product of independent colours
    apart = torch.einsum("r,g,b->rgb", together.sum((1, 2)), together.sum((0, 2)), together.sum((0, 1)))
    assert float((together - apart).abs().max()) > 0.01


def test_no_image_is_impossible_under_the_narrowest_palette(random_model):
    spec = ImageSpec(3, 2, 2, 256)
    model = random_model("imagegpt", spec, tokens="palette", palette=2, **TINY)
    with torch.no_grad():
        model.tokens.log_scales.fill_(-50)
        model.tokens.colours.fill_(-1)
    x = torch.full((1, 3, 2, 2), 255)
    worst = float(model.log_prob(x).detach())
    assert worst == pytest.approx(12 * math.log(SPREAD / 256), rel=1e-3)


@pytest.mark.parametrize(("likelihood", "size"), [("auto", 1), ("categorical", 2)])
def test_a_palette_of_binary_images_answers_in_either_family(likelihood, size, random_model):
    spec = ImageSpec(1, 2, 3, 2)
    settings = TINY | {"tokens": "palette", "palette": 2}
    model = random_model("imagegpt", spec, likelihood=likelihood, dtype=torch.float64, **settings)
    other = random_model("imagegpt", spec, dtype=torch.float64, **settings)
    x = torch.randint(0, 2, (4, 1, 2, 3), generator=torch.Generator().manual_seed(0))
    assert model(x).shape[1] == size
    torch.testing.assert_close(model.log_prob(x), other.log_prob(x))


def test_a_pixel_of_a_palette_colour_enters_as_that_colours_vector():
    model = create("imagegpt", ImageSpec(1, 2, 2, 5), tokens="palette", palette=5, **TINY).double()
    with torch.no_grad():
        model.tokens.log_precision += 4
    entered = model.tokens.embed(torch.eye(5, dtype=torch.float64)[:, None])
    torch.testing.assert_close(entered, model.tokens.embedding, rtol=1e-6, atol=1e-6)


def test_a_palette_begins_spread_over_all_colours():
    for count, channels in ((2, 1), (9, 1), (512, 3)):
        colours = spread_colours(count, channels)
        assert colours.abs().max() <= 1
        assert len(colours.unique(dim=0)) == count
    corner = (colours > 0).long() @ torch.tensor([4, 2, 1])
    assert corner.bincount(minlength=8).min() >= 56    # 64 in each octant, if it could be even


def test_k_means_finds_the_colours_of_the_training_images_and_they_are_saved(tmp_path):
    spec = ImageSpec(3, 4, 4, 8)
    colours = torch.tensor([[0, 0, 0], [7, 7, 7], [7, 0, 0], [0, 3, 6]])
    x = colours[torch.randint(0, 4, (20, 4, 4), generator=torch.Generator().manual_seed(1))].permute(0, 3, 1, 2)
    model = create("imagegpt", spec, tokens="palette", palette=4, **TINY)
    model.eval().prepare(x)
    found = {tuple(c) for c in ((model.tokens.colours.detach() + 1) * 3.5).round().long().tolist()}
    assert found == {tuple(c) for c in colours.tolist()}
    picture = model.log_prob(x[:1]).detach()
    assert float(picture) > -16 * (math.log(4) + 0.5)    # a fresh model need only guess which of the four
    save_model(tmp_path / "m.safetensors", model)
    again, _ = load_model(tmp_path / "m.safetensors")
    assert torch.equal(again.tokens.colours, model.tokens.colours)
    torch.testing.assert_close(again.log_prob(x[:1]).detach(), picture)


def test_training_begins_with_the_palette_of_its_images(tmp_path):
    view, config = DataView(dataset="digits", levels=17), TrainConfig(epochs=1)
    settings = TINY | {"tokens": "palette", "palette": 4}
    trainer = new_trainer(tmp_path / "run", view, "imagegpt", config, settings, device="cpu")
    colours = trainer.model.tokens.colours.detach().clone()
    assert float((colours - spread_colours(4, 1)).abs().max()) > 0.01
    spread = (trainer.model.scaled(trainer.batches.x).reshape(-1, 1) - colours.T).abs().amin(1)
    even = (trainer.model.scaled(trainer.batches.x).reshape(-1, 1) - spread_colours(4, 1).T).abs().amin(1)
    assert float(spread.square().mean()) < float(even.square().mean())
    assert torch.equal(trainer.average.tokens.colours, colours)
    again = resume_trainer(tmp_path / "run", device="cpu")    # killed before its first save
    assert torch.equal(again.model.tokens.colours.detach(), colours)


def test_patches_are_drawn_one_after_the_other_and_cut_at_the_edge(random_model):
    model = random_model("imagegpt", ImageSpec(1, 3, 5, 2), tokens="patches", **TINY)
    assert model.order.pixels.tolist() == [0, 1, 5, 6, 2, 3, 7, 8, 4, 9, 10, 11, 12, 13, 14]
    assert model.slots.tolist() == [
        [0, 1, 5, 6], [2, 3, 7, 8], [4, 15, 9, 15], [10, 11, 15, 15], [12, 13, 15, 15], [14, 15, 15, 15],
    ]
    assert sorted(model.slot_of_site.tolist()) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 13, 16, 17, 20]


def test_inside_a_patch_sites_follow_the_published_nade(random_model):
    model = random_model("imagegpt", ImageSpec(3, 2, 2, 3), tokens="patches", dtype=torch.float64, **TINY)
    x = torch.randint(0, 3, (1, 3, 2, 2), generator=torch.Generator().manual_seed(2))
    hidden = []
    model.tokens.read.register_forward_hook(lambda module, args, z: hidden.append(z))
    params = model(x)
    a, net = hidden[0][0, 0], model.tokens
    for s, site in enumerate(model.order.sites(3)):
        c, row, column = np.unravel_index(site, (3, 2, 2))
        h = torch.nn.functional.gelu(a + net.c[s], approximate="tanh")
        torch.testing.assert_close(params[0, :, c, row, column], h @ net.V[s] + net.b[s])
        if s < 11:
            a = a + net.W[s, x[0, c, row, column]]
