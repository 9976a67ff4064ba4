"""The estimate is measured, bounded by memory and cancellable; baselines are exact distributions."""

import itertools
import math

import numpy as np
import pytest
import torch

from arstudio.image import ImageSpec
from arstudio.models import create
from arstudio.models.base import ConfigError
from arstudio.progress import Cancelled, Progress
from arstudio.training.baselines import histogram_nats, uniform_nats
from arstudio.training.estimate import TooLarge, available_bytes, estimate
from arstudio.training.places import free_name, new_path, runs_root, stem_of
from arstudio.training.runs import RunError

SPEC = ImageSpec(1, 6, 6, 4)
SMALL = {"channels": 8, "dilations": (1, 2), "head": 8}


def test_an_estimate_counts_the_parameters_of_the_real_model_and_measures_time_and_memory():
    found = estimate("gated_pixelcnn", SPEC, 3, SMALL, 16, 320, "cpu")
    assert found.parameters == create("gated_pixelcnn", SPEC, 3, **SMALL).num_parameters
    assert found.device == "cpu"
    assert found.bytes > 5 * 4 * found.parameters
    assert 0 < found.seconds_per_epoch < 60
    assert found.images_per_second * found.seconds_per_epoch == pytest.approx(320)
    assert found.epochs(1) == pytest.approx(60 / found.seconds_per_epoch)


def test_a_larger_batch_needs_more_memory():
    small, large = (estimate("gated_pixelcnn", SPEC, 0, SMALL, batch, 320, "cpu").bytes for batch in (4, 64))
    assert large > small


@pytest.mark.parametrize(("levels", "site"), [(4, 1), (0, 4)])
def test_images_count_with_the_bytes_they_are_kept_in(levels, site):
    spec = ImageSpec(1, 3, 3, levels)
    few, many = (estimate("rnade" if not levels else "nade", spec, 0, {"hidden": 2}, 4, n, "cpu").bytes for n in (10, 1_010))
    assert many - few == 1_000 * spec.sites * site


def test_an_estimate_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    estimate("gated_pixelcnn", SPEC, 0, SMALL | {"dropout": 0.5}, 4, 8, "cpu")
    assert torch.equal(before, torch.get_rng_state())


def test_what_does_not_fit_is_refused_with_the_numbers_and_a_way_out():
    with pytest.raises(TooLarge, match=r"needs about .* GB in batches of 64.*choose a smaller batch"):
        estimate("gated_pixelcnn", SPEC, 0, SMALL, 64, 320, "cpu", available=100_000)


@pytest.mark.parametrize(
    ("settings", "batch", "error", "words"),
    [
        ({"channels": "many"}, 4, ConfigError, "channels must be a whole number"),
        ({"kernel": 4}, 4, ConfigError, "kernel must be odd"),
        (SMALL, 0, RunError, "batch must be at least 1"),
    ],
)
def test_a_setting_that_cannot_be_gives_one_sentence(settings, batch, error, words):
    with pytest.raises(error, match=words):
        estimate("gated_pixelcnn", SPEC, 0, settings, batch, 8, "cpu")


def test_an_estimate_can_be_cancelled():
    class Stopped(Progress):
        def cancelled(self) -> bool:
            return True

    with pytest.raises(Cancelled):
        estimate("gated_pixelcnn", SPEC, 0, SMALL, 4, 8, "cpu", progress=Stopped())


def test_the_machine_says_how_much_memory_is_free_or_nothing():
    free = available_bytes()
    assert free is None or free > 10_000_000


def test_the_histogram_baseline_is_a_distribution_over_images():
    rng = np.random.default_rng(0)
    train = rng.integers(0, 3, (20, 1, 2, 2), dtype=np.uint8)
    every = np.array(list(itertools.product(range(3), repeat=4)), dtype=np.uint8).reshape(-1, 1, 2, 2)
    total = sum(math.exp(-histogram_nats(train, x[None], 3)) for x in every)
    assert total == pytest.approx(1.0, abs=1e-12)


def test_the_histogram_baseline_is_the_mean_over_validation_images_by_hand():
    train = np.array([0, 0, 1], dtype=np.uint8).reshape(3, 1, 1, 1)
    validation = np.array([0, 1], dtype=np.uint8).reshape(2, 1, 1, 1)
    expected = -(math.log(3 / 5) + math.log(2 / 5)) / 2
    assert histogram_nats(train, validation, 2) == pytest.approx(expected)


def test_uniform_is_the_histogram_that_counted_nothing():
    nothing = np.zeros((0, *SPEC.shape), dtype=np.uint8)
    image = np.ones((1, *SPEC.shape), dtype=np.uint8)
    assert histogram_nats(nothing, image, SPEC.levels) == pytest.approx(uniform_nats(SPEC))


def test_runs_get_the_next_free_name_and_a_directory_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("ARSTUDIO_RUNS", str(tmp_path))
    assert runs_root() == tmp_path
    assert stem_of("my pictures/x", "gated_pixelcnn") == "my-pictures-x-gated-pixelcnn"
    assert free_name("digits-nade") == "digits-nade-1"
    for name in ("digits-nade-2", "digits-nade-10", "digits-nade-old"):
        (tmp_path / name).mkdir()
    assert free_name("digits-nade") == "digits-nade-11"
    assert new_path(" mine ") == tmp_path / "mine"
    with pytest.raises(RunError, match="There is a run called digits-nade-2 already"):
        new_path("digits-nade-2")
    for bad in ("", "../up", "a/b", ".hidden", "a:b"):
        with pytest.raises(RunError, match="cannot be called"):
            new_path(bad)
