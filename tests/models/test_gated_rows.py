"""A row through all layers in one call: compiled or in Python, the same numbers."""

import importlib.util

import numpy as np
import pytest
import torch

from arstudio.image import ImageSpec
from arstudio.models import gated_decoder, gated_rows, gated_weights, threads
from arstudio.sampling import SampleSettings, sample


def unavailable(function):
    raise RuntimeError("torch.jit.script is not supported here")


@pytest.fixture
def in_python(monkeypatch):
    """The module as it is where torch cannot compile."""
    monkeypatch.setattr(torch.jit, "script", unavailable)
    spec = importlib.util.spec_from_file_location("rows_in_python", gated_rows.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("many", [1, 10**9], ids=["tiled", "dense"])
def test_without_a_compiler_the_same_images_are_drawn(in_python, many, random_model, monkeypatch):
    assert in_python.vertical.__name__ == "vertical"
    assert not hasattr(in_python.horizontal, "graph")
    monkeypatch.setattr(gated_decoder, "MANY", many)
    model = random_model("gated_pixelcnn", ImageSpec(1, 6, 8, 3), channels=16, dilations=(1, 1, 2), head=8)
    compiled = sample(model, 9, SampleSettings(seed=3), method="blocks").values
    for name in ("vertical", "horizontal", "whole_rows", "few_rows"):
        monkeypatch.setattr(gated_decoder, name, getattr(in_python, name))
    assert np.array_equal(sample(model, 9, SampleSettings(seed=3), method="blocks").values, compiled)


def test_what_cannot_be_compiled_runs_as_it_is(monkeypatch):
    monkeypatch.setattr(torch.jit, "script", unavailable)
    assert threads.native(unavailable) is unavailable


@pytest.mark.parametrize("count", [3, 40])
def test_a_wide_network_draws_what_naive_draws(count, random_model):
    model = random_model("gated_pixelcnn", ImageSpec(1, 3, 8, 2), channels=96, dilations=(1, 1, 1), head=8)
    assert model.wide
    drawn = [sample(model, count, SampleSettings(seed=3), method=method).values for method in ("blocks", "naive")]
    assert np.array_equal(*drawn)


@pytest.mark.parametrize("method", ["blocks", "incremental"])
@pytest.mark.parametrize("many", [1, 10**9], ids=["tiled", "dense"])
@pytest.mark.parametrize("spec", [ImageSpec(1, 5, 8, 3), ImageSpec(3, 3, 4, 2)], ids=str)
def test_what_lay_in_the_memory_before_does_not_matter(spec, many, method, random_model, monkeypatch):
    def no_numbers(like, shapes, *, zero=False):
        return [part if zero else part.fill_(np.nan) for part in in_one_piece(like, shapes, zero=zero)]

    in_one_piece = gated_decoder.in_one_piece
    monkeypatch.setattr(gated_decoder, "MANY", many)
    for module in (gated_decoder, gated_weights):
        monkeypatch.setattr(module, "in_one_piece", no_numbers)
    model = random_model("gated_pixelcnn", spec, channels=9, dilations=(1, 1, 2, 1), head=9)
    drawn = [sample(model, 5, SampleSettings(seed=3), method=way).values for way in (method, "naive")]
    assert np.array_equal(*drawn)
