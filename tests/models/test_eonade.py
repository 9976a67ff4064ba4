"""EoNADE: the training loss is an unbiased estimate of the mean over orders; ensembles are distributions."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from arstudio.image import ImageSpec
from arstudio.models import create
from arstudio.models.orders import Order
from arstudio.progress import Progress
from arstudio.training.config import TrainConfig
from arstudio.training.setup import DataView, new_trainer, resume_trainer

SPEC, TINY, RGB = ImageSpec(1, 3, 4, 3), ImageSpec(1, 2, 2, 3), ImageSpec(3, 1, 1, 3)


def every(spec):
    return torch.cartesian_prod(*[torch.arange(spec.levels)] * spec.sites).view(-1, *spec.shape)


def conditional(model, x, known):
    """Parameters of every site of one image by the published network, (D, P), given the sites in `known`."""
    m = torch.zeros(x.numel(), dtype=torch.float64)
    m[list(known)] = 1
    phi = model.encode(x).flatten(2)[0].T * m[:, None]                              # (D, E)
    a = model.c + torch.einsum("de,deh->h", phi, model.W[:, :-1]) + m @ model.W[:, -1]
    h = F.relu(a)
    for layer in model.deeper:
        h = F.relu(layer.weight @ h + layer.bias)
    return model.V @ h + model.b


@pytest.mark.parametrize("inputs", ["scaled", "one_hot"])
def test_the_conditionals_are_the_published_network_asked_once_for_each_site(inputs, random_model):
    model = random_model("eonade", SPEC, dtype=torch.float64, hidden=8, layers=3, order="spiral", inputs=inputs)
    x, order = torch.randint(0, 3, (1, *SPEC.shape)), model.site_index.tolist()
    found = model(x).flatten(2)[0].T
    for t, site in enumerate(order):
        torch.testing.assert_close(found[site], conditional(model, x, order[:t])[site])


@pytest.mark.parametrize("spec", [TINY, RGB], ids=str)
def test_the_mean_of_the_estimate_is_the_mean_over_all_orders(spec, random_model):
    """Every order and every number of known sites, by enumeration: no chance involved."""
    model = random_model("eonade", spec, 2, gain=3, dtype=torch.float64, hidden=6)
    x, sites = every(spec)[[5, 22]], spec.sites
    orders = list(itertools.permutations(range(sites)))
    estimates = torch.zeros(2, dtype=torch.float64)
    for order in orders:
        rank = torch.tensor(order).argsort().expand(2, -1)
        for known in range(sites):
            estimates += model.estimate(x, 1, rank, torch.full((2,), known)) / (len(orders) * sites)
    exact = torch.zeros(2, dtype=torch.float64)
    for order in orders:
        for i, image in enumerate(x):
            for t, site in enumerate(order):
                params = conditional_with_class(model, image[None], order[:t])[site]
                exact[i] -= params.log_softmax(0)[image.flatten()[site]] / len(orders)
    torch.testing.assert_close(estimates, exact)
    if spec.channels == 1:
        ways = [-model.reordered(Order.custom(order, 2, 2)).log_prob(x, 1) for order in orders]
        torch.testing.assert_close(estimates, torch.stack(ways).mean(0))


def conditional_with_class(model, x, known):
    """As `conditional`, of class 1."""
    start = model.c.detach().clone()
    with torch.no_grad():
        model.c += model.class_bias.weight[1]
        found = conditional(model, x, known)
        model.c.copy_(start)
    return found


def test_a_batch_of_training_spreads_over_the_number_of_known_sites(random_model, monkeypatch):
    model, asked = random_model("eonade", SPEC, hidden=6).train(), []
    monkeypatch.setattr(
        model, "estimate", lambda x, y, rank, known: asked.append((rank, known)) or torch.zeros(len(x))
    )
    torch.manual_seed(0)
    x = torch.randint(0, 3, (24, *SPEC.shape))
    for _ in range(50):
        model.loss(x)
    ranks, known = torch.cat([rank for rank, _ in asked]), torch.stack([count for _, count in asked])
    assert torch.equal(known.sort(1).values, torch.arange(12).repeat_interleave(2).expand(50, -1))
    assert torch.equal(ranks.sort(1).values, torch.arange(12).expand(1200, -1))
    means = ranks.float().mean(0)
    torch.testing.assert_close(means, torch.full((12,), 5.5), atol=0.5, rtol=0)
    for size in (1, 5):    # fewer images than sites: every number still comes up
        asked.clear()
        for _ in range(400):
            model.loss(x[:size])
        shares = torch.bincount(torch.cat([count for _, count in asked]), minlength=12) / (400 * size)
        torch.testing.assert_close(shares, torch.full((12,), 1 / 12), atol=0.05, rtol=0)


def test_the_random_loss_is_near_the_mean_over_orders_and_evaluation_is_exact(random_model):
    model, x = random_model("eonade", TINY, gain=3, hidden=6), every(TINY)[[5]]
    assert torch.equal(model.loss(x), -model.log_prob(x))
    exact = torch.stack([
        -model.reordered(Order.custom(order, 2, 2)).log_prob(x) for order in itertools.permutations(range(4))
    ]).mean().item()
    torch.manual_seed(0)
    drawn = model.train().loss(x.expand(20_000, -1, -1, -1)).detach()
    assert drawn.std() > 0.1
    assert drawn.mean().item() == pytest.approx(exact, abs=5 * drawn.std().item() / 20_000**0.5)


def test_probabilities_of_whole_images_are_averaged_and_logits_must_not_be(random_model):
    model, x = random_model("eonade", TINY, gain=2.5, seed=1, dtype=torch.float64, hidden=9), every(TINY)
    orders = [Order("raster", 2, 2), Order("column", 2, 2), Order.custom([3, 1, 0, 2], 2, 2)]
    mixture = model.ensemble_log_prob(x, None, orders).exp()
    assert mixture.sum().item() == pytest.approx(1, abs=1e-12)
    members = [model.reordered(order) for order in orders]
    torch.testing.assert_close(mixture, torch.stack([member.log_prob(x).exp() for member in members]).mean(0))
    logits = torch.stack([member(x) for member in members]).mean(0)
    wrong = model.likelihood.log_prob(logits, x).flatten(1).sum(1).exp()
    assert abs(wrong.sum().item() - 1) > 1e-3, "an average of logits would be no distribution"
    torch.testing.assert_close(model.ensemble_log_prob(x), model.log_prob(x))


def test_a_large_batch_in_chunks_of_sites_gives_the_same(random_model, monkeypatch):
    model, x = random_model("eonade", SPEC, 2, hidden=6, dtype=torch.float64), torch.randint(0, 3, (5, *SPEC.shape))
    whole = model(x, 1)
    for chunk in (1, 150, 210):    # 1, 5 and 7 sites at a time
        monkeypatch.setattr("arstudio.models.eonade.CHUNK", chunk)
        torch.testing.assert_close(model(x, 1), whole)


def test_the_mask_tells_an_unknown_site_from_one_of_middle_level(random_model):
    spec = ImageSpec(1, 1, 2, 3)
    model = random_model("eonade", spec, dtype=torch.float64, hidden=6)
    x = torch.tensor([[[[1, 0]]]])                                                  # scaled to 0, like a hidden site
    assert model.encode(x).flatten()[0] == 0
    second = model(x)[0, :, 0, 0, 1]
    assert (second - conditional(model, x, [])[1]).abs().max() > 1e-3
    torch.testing.assert_close(second, conditional(model, x, [0])[1])


def test_the_published_network_has_two_layers_of_500():
    paper = create("eonade", ImageSpec(1, 28, 28, 2), hidden=500)
    assert paper.num_parameters == 784 * 2 * 500 + 500 + 500 * 501 + 784 * 501


@pytest.mark.parametrize(("name", "settings"), [("eonade", {"hidden": 9}), ("made", {"hidden": 9, "masks": 3, "orders": 0})])
def test_a_run_with_random_orders_that_is_stopped_goes_on_to_the_same_weights(name, settings, tmp_path):
    class Stopped(Progress):
        steps = 0

        def report(self, fraction, text=""):
            self.steps += 1

        def cancelled(self):
            return self.steps >= 5

    def begin(run):
        config = TrainConfig(epochs=0.3, samples=1, validation_images=20)
        return new_trainer(tmp_path / run, DataView(dataset="digits"), name, config, settings, device="cpu")

    whole = begin("whole")
    whole.fit()
    assert begin("half").fit(Stopped()).status == "stopped"
    torch.rand(7)    # whatever else uses torch's generator meanwhile
    rest = resume_trainer(tmp_path / "half", device="cpu")
    rest.fit()
    assert rest.live.step == whole.live.step > 5
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), rest.model.parameters(), strict=True))
