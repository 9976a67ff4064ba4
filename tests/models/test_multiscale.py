"""Multi-scale PixelRNN: the small image first, then the rest given it, every pixel once; and spatial conditioning."""

import numpy as np
import pytest
import torch

from arstudio.image import ImageSpec
from arstudio.models import ConfigError, create, load_model
from arstudio.models.diagonal_bilstm import DiagonalBiLSTM, DiagonalBiLSTMConfig
from arstudio.models.gated_pixelcnn import GatedPixelCNN, GatedPixelCNNConfig
from arstudio.resources import resource

SMALL = {"hidden": 4, "layers": 1, "small_hidden": 4, "small_layers": 1, "context": 4, "head": 6}
NETWORKS = ["diagonal_bilstm", "gated"]


def images(spec, batch=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, spec.levels, (batch, *spec.shape), generator=generator)


@pytest.mark.parametrize(("height", "width", "scale"), [(4, 4, 2), (5, 7, 2), (5, 7, 3), (1, 6, 2), (2, 3, 8), (1, 1, 2)])
def test_the_grid_comes_first_then_the_others_both_in_raster_order(height, width, scale):
    model = create("multiscale", ImageSpec(1, height, width, 2), **SMALL | {"scale": scale})
    grid = [r * width + c for r in range(0, height, scale) for c in range(0, width, scale)]
    rest = [p for p in range(height * width) if p not in grid]
    assert model.order.pixels.tolist() == grid + rest
    assert model.small.spec.pixels == len(grid)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_probability_is_that_of_the_small_image_times_that_of_the_rest_given_it(network, random_model):
    spec = ImageSpec(3, 5, 6, 4)
    model = random_model("multiscale", spec, dtype=torch.float64, **SMALL | {"network": network})
    x = images(spec)
    with torch.inference_mode():
        small = model.small.log_prob(x[:, :, ::2, ::2].contiguous())
        sites = model.log_prob_sites(x)
        on_grid = sites[:, :, ::2, ::2].flatten(1).sum(1)
        torch.testing.assert_close(on_grid, small)
        torch.testing.assert_close(model.log_prob(x), small + (sites.flatten(1).sum(1) - on_grid))


@pytest.mark.parametrize("network", NETWORKS)
def test_the_small_image_is_drawn_without_a_look_at_the_rest(network, random_model):
    spec = ImageSpec(1, 6, 7, 3)
    model = random_model("multiscale", spec, dtype=torch.float64, **SMALL | {"network": network})
    x, other = images(spec), images(spec, seed=1)
    other[:, :, ::2, ::2] = x[:, :, ::2, ::2]
    with torch.inference_mode():
        a, b = (model(t)[..., ::2, ::2] for t in (x, other))
    torch.testing.assert_close(a, b, rtol=0, atol=0)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_pixel_of_the_grid_below_and_to_the_right_counts_and_one_off_the_grid_does_not(network, random_model):
    spec = ImageSpec(1, 7, 7, 2)
    model = random_model("multiscale", spec, dtype=torch.float64, **SMALL | {"network": network})
    x, site = images(spec), (3, 3)
    with torch.inference_mode():
        before = model(x)[:, :, 0, *site]
        for row in range(7):
            for column in range(7):
                if (row, column) <= site:
                    continue
                changed = x.clone()
                changed[:, 0, row, column] = 1 - changed[:, 0, row, column]
                moved = bool((model(changed)[:, :, 0, *site] != before).any())
                assert moved == (row % 2 == 0 and column % 2 == 0), (row, column)


def test_the_large_network_never_learns_its_own_pixel_from_the_map(random_model):
    """What the map is made of is the small image alone, whose pixels the large network is not asked for."""
    spec = ImageSpec(1, 5, 8, 2)
    model = random_model("multiscale", spec, dtype=torch.float64, **SMALL)
    x = images(spec, 1)
    e = model.encode(x).requires_grad_()
    context = model.upscale(model.grid(e))
    assert context.shape == (1, 5, 8, 4)
    (gradient,) = torch.autograd.grad(context.pow(2).sum(), e)
    reached = (gradient[0, 0, 0] != 0).numpy()
    off_grid = np.ones((5, 8), dtype=bool)
    off_grid[::2, ::2] = False
    assert reached[~off_grid].all()
    assert not reached[off_grid].any()


@pytest.mark.parametrize("make", [
    lambda spec, n, u: DiagonalBiLSTM(spec, DiagonalBiLSTMConfig(hidden=4, layers=2, head=6), n, u),
    lambda spec, n, u: GatedPixelCNN(spec, GatedPixelCNNConfig(channels=6, dilations=(1, 2), head=6), n, u),
], ids=NETWORKS)
@pytest.mark.parametrize("classes", [0, 2])
def test_a_map_of_context_conditions_the_network_and_its_decoder_alike(make, classes):
    torch.manual_seed(1)
    spec = ImageSpec(3, 3, 4, 3)
    model = make(spec, classes, 5).double().eval()
    assert model.num_parameters == model.config.parameters(spec, classes, 5)
    assert make(spec, classes, 0).num_parameters == model.config.parameters(spec, classes)
    x, context = images(spec), torch.randn(3, 3, 4, 5, dtype=torch.float64)
    y = torch.tensor([-1, 0, 1]) if classes else None
    with torch.inference_mode():
        rows = model.class_index(y, 3)
        truth = model.network(model.encode(x), rows, context)
        assert (truth - model.network(model.encode(x), rows, 0 * context)).abs().flatten(1).amax(1).min() > 1e-3
        decoder = type(model.decoder(1))(model, 3, y, context)
        for t in range(spec.sites):
            channel, row, column = decoder.site()
            torch.testing.assert_close(decoder.params(), truth[:, :, channel, row, column])
            decoder.push(x[:, channel, row, column])
            if t == spec.sites // 2:
                decoder.rewind(t // 2)
                decoder.select(torch.tensor([0, 1, 2]))
                for _ in range(t // 2, t + 1):
                    channel, row, column = decoder.site()
                    decoder.push(x[:, channel, row, column])


def test_files_made_before_there_was_a_map_still_open():
    for name in ("digits-gated", "mnist-gated", "fashion-gated"):
        path = resource("models") / f"{name}.safetensors"
        model, _ = load_model(path)
        assert model.context_bias is None


@pytest.mark.parametrize("config", [{"likelihood": "gaussian"}, {"likelihood": "logistic", "components": 3}])
def test_both_networks_put_out_the_same_family(config):
    model = create("multiscale", ImageSpec(1, 4, 4, 8), **SMALL | config)
    assert model.small.likelihood.num_params == model.large.likelihood.num_params == model.likelihood.num_params


def test_a_model_with_classes_hands_them_to_both_networks():
    model = create("multiscale", ImageSpec(1, 4, 4, 2), 3, class_dropout=0.0, **SMALL)
    assert model.small.num_classes == model.large.num_classes == 3
    assert model.small.config.class_dropout == model.large.config.class_dropout == 0
    with pytest.raises(ConfigError, match="There is no class 3"):
        model.decoder(1, 3)
