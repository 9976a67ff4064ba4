"""What a training may reach is read from runs that were measured."""

import dataclasses
import importlib
import json
import math

import pytest
from typer.testing import CliRunner

from arstudio.cli import app
from arstudio.data import bundled
from arstudio.image import ImageSpec
from arstudio.models import MODELS
from arstudio.models.modelfile import bundled_models
from arstudio.resources import resource
from arstudio.training import expectations
from arstudio.training.baselines import uniform_nats
from arstudio.training.config import TrainConfig
from arstudio.training.expectations import Reference, expectation, references
from arstudio.training.recipes import RECIPE_NAMES, recipe
from arstudio.training.setup import DataView, new_trainer

SPEC = ImageSpec(1, 8, 8, 17)
SMALL = Reference("nade", "digits", 17, 8, 8, 1000, "validation", "by hand", ((1.0, 2.0, 100.0), (4.0, 8.0, 90.0)))
LARGE = dataclasses.replace(SMALL, parameters=8000, points=((2.0, 9.0, 80.0),))


@pytest.fixture
def known(monkeypatch):
    """Two runs of one model, small and large."""
    monkeypatch.setattr(expectations, "references", lambda: (SMALL, LARGE))


def test_a_curve_is_read_between_its_points_and_holds_beyond_its_ends(known):
    def read(epochs):
        found = expectation("nade", "digits", SPEC, 1000, epochs)
        return found.nats, found.epochs

    assert read(2.0) == (pytest.approx(95.0), 2.0)
    assert read(0.8) == (100.0, 1.0)
    assert read(50.0) == (90.0, 4.0)
    sentence = expectation("nade", "digits", SPEC, 1000, 4).sentence(1.5)
    assert sentence == (
        "Expect about 90.0 nats (1.500 bits/dim): a run with 1,000 parameters had that on validation images after 4 epochs, "
        "8 s (by hand)."
    )


def test_the_run_nearest_in_size_is_read(known):
    assert expectation("nade", "digits", SPEC, 2500, 2).reference is SMALL
    assert expectation("nade", "digits", SPEC, 3500, 2).reference is LARGE


def test_nothing_is_said_of_what_was_not_measured(known):
    assert expectation("made", "digits", SPEC, 1000, 2) is None
    assert expectation("nade", "mnist", SPEC, 1000, 2) is None
    assert expectation("nade", "digits", dataclasses.replace(SPEC, levels=2), 1000, 2) is None
    assert expectation("nade", "digits", SPEC, 1000, 0) is None
    assert expectation("nade", "digits", SPEC, 1000, 0.5) is None, "both are longer"
    assert expectation("nade", "digits", SPEC, 8000, 1).reference is SMALL, "the large one is longer"


def test_every_curve_falls_below_uniform_and_the_end_is_the_card(tmp_path):
    infos, cards = {info.name: info for info in bundled()}, {card.name: card for card in bundled_models()}
    seen = set()
    for r in references():
        spec = dataclasses.replace(infos[r.dataset].spec, levels=r.levels, height=r.height, width=r.width)
        assert r.model in MODELS
        epochs, _, nats = zip(*r.points, strict=True)
        assert list(epochs) == sorted(epochs)
        assert list(nats) == sorted(nats, reverse=True)
        assert 0 < nats[-1] < uniform_nats(spec)
        name = r.how.removeprefix("bundled as ")
        if name in cards:
            seen.add(name)
            assert math.isclose(nats[-1], cards[name].facts.nats, rel_tol=0.06)    # of validation, mostly
            assert r.parameters > 0
    assert seen == cards.keys()


def passes(minutes, view, parameters):
    """Over the images in so many minutes, at the pace of the measured run that is nearest in size."""
    same = [r for r in references() if (r.model, r.dataset, r.levels, r.height, r.width) == view]
    if not same:
        return 0.0
    nearest = min(same, key=lambda r: abs(math.log(r.parameters / parameters)))
    epochs, seconds, _ = nearest.points[-1]
    return minutes * 60 * epochs / max(seconds, 1e-3)


@pytest.mark.parametrize("dataset", ["digits", "mnist", "fashion", "emoji"])
def test_every_model_is_told_what_to_expect_of_every_recipe_whose_view_was_measured(dataset):
    info = next(info for info in bundled() if info.name == dataset)
    measured = {(r.model, r.levels, r.height) for r in references() if r.dataset == dataset}
    for model, entry in MODELS.items():
        for name in RECIPE_NAMES:
            chosen = recipe(name, model, dataset)
            side = chosen.size or info.spec.height
            spec = dataclasses.replace(info.spec, levels=chosen.levels or info.spec.levels, height=side, width=side)
            parameters = entry.config(**chosen.settings).parameters(spec, len(info.classes))
            epochs = chosen.epochs or passes(chosen.minutes, (model, dataset, spec.levels, side, side), parameters)
            found = expectation(model, dataset, spec, parameters, epochs)
            if name == "paper" and (model, spec.levels, side) not in measured:
                assert found is None
                continue
            assert found is not None, f"{name} {model} on {dataset}"
            assert 0 < found.nats < uniform_nats(spec)
            sentence = found.sentence(spec.bits_per_dim(found.nats))
            assert sentence.startswith(f"Expect about {found.nats:.1f} nats (")
            assert f"{found.reference.parameters:,} parameters" in sentence


@pytest.fixture
def build_curves(monkeypatch):
    """packaging/build_curves.py."""
    monkeypatch.syspath_prepend(str(resource("curves.json").parents[1] / "packaging"))
    return importlib.import_module("build_curves")


def test_curves_survive_without_their_runs_and_new_runs_replace_them(build_curves, tmp_path):
    kept = json.loads(resource("curves.json").read_text(encoding="utf-8"))["runs"]
    assert build_curves.gather(tmp_path, kept) == kept
    config = TrainConfig(minutes=0.01, validation_images=20)
    path = tmp_path / "reference" / "digits-fvsbn"
    trainer = new_trainer(path, DataView(dataset="digits"), "fvsbn", config, device="cpu")
    trainer.fit()
    how = "arstudio train --recipe quick --minutes 0.01"
    new = build_curves.gather(tmp_path, kept)
    row, = [r for r in new if r not in kept]
    assert [r for r in new if r in kept] == kept
    assert (row["model"], row["dataset"], row["levels"], row["height"], row["how"]) == ("fvsbn", "digits", 17, 8, how)
    live = trainer.live
    assert row["points"][-1] == pytest.approx([live.epoch, live.points[-1].seconds, live.best_nats], abs=0.06)
    assert build_curves.gather(tmp_path / "gone", new) == new


@pytest.mark.parametrize(("first", "words"), [(1e-4, "Expect about"), (1e6, "No run as short was measured.")])
def test_train_says_what_to_expect_before_it_begins(tmp_path, monkeypatch, first, words):
    run = dataclasses.replace(SMALL, points=((first, 1.0, 100.0),))
    monkeypatch.setattr(expectations, "references", lambda: (run,))
    command = ["train", "--dataset", "digits", "--model", "nade", "--minutes", "0.002", "--set", "hidden=4"]
    found = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "run")])
    assert found.exit_code == 0, found.output
    said = found.stderr.replace("\n", " ")
    assert "s an epoch, so about" in said
    assert words in said
