"""A recipe makes every model trainable on every bundled dataset, and the command line follows it except where told."""

import dataclasses
import json

import pytest
from typer.testing import CliRunner

from arstudio.cli import app
from arstudio.data import bundled
from arstudio.models import MODELS, make_config
from arstudio.training.recipes import _DROPS, RECIPE_NAMES, Recipe, recipe
from arstudio.training.runs import RunError

INFOS = {info.name: info for info in bundled()}
QUICK_BYTES = 2e9


def view_of(info, found: Recipe):
    side = found.size or info.spec.height
    return dataclasses.replace(info.spec, levels=found.levels, height=side, width=side)


@pytest.mark.parametrize("dataset", sorted(INFOS))
@pytest.mark.parametrize("model", sorted(MODELS))
def test_every_recipe_is_a_model_that_exists_with_one_budget(model, dataset):
    sizes = []
    for name in RECIPE_NAMES:
        found = recipe(name, model, dataset)
        spec, config = view_of(INFOS[dataset], found), make_config(model, found.settings)
        config.check(spec)
        assert (found.minutes > 0) != (found.epochs > 0)
        assert found.minutes <= 1 or name != "quick"
        sizes.append(config.cost(spec))
    assert sizes[0].training_bytes(32) < QUICK_BYTES
    assert sizes[0].parameters <= sizes[2].parameters


def test_the_models_with_dropout_are_those_that_have_the_setting():
    having = {name for name, entry in MODELS.items() if "dropout" in {f.name for f in dataclasses.fields(entry.config)}}
    assert set(_DROPS) == having


def test_a_recipe_there_is_not_is_a_sentence():
    with pytest.raises(RunError, match=r"no recipe 'best'; choose one of quick, good, paper\."):
        recipe("best", "nade", "digits")


def test_train_follows_a_recipe_except_where_it_is_told(tmp_path):
    command = [
        "train", "--dataset", "digits", "--model", "made", "--recipe", "good", "--epochs", "1", "--lr", "0.003",
        "--set", "hidden=7", "--out", str(tmp_path / "run"), "--json",
    ]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    wanted = recipe("good", "made", "digits")
    assert (record["training"]["minutes"], record["training"]["epochs"]) == (0, 1)
    assert record["training"]["learning_rate"] == 0.003
    assert record["training"]["batch"] == wanted.batch
    assert record["training"]["ema"] == wanted.ema
    assert record["config"]["hidden"] == 7
    assert record["config"]["layers"] == wanted.settings["layers"]
    assert record["spec"]["levels"] == 17


def test_an_unknown_recipe_stops_the_command_with_a_sentence():
    result = CliRunner().invoke(app, ["train", "--dataset", "digits", "--recipe", "best"])
    assert result.exit_code == 2
    assert "There is no recipe 'best'" in result.stderr
