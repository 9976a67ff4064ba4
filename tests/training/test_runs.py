"""A run directory is made once, read back whole,
and anything else is refused in a sentence that changes nothing."""

import errno
import json
import math
import os

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from arstudio.data import DatasetError
from arstudio.models import ConfigError, save_model
from arstudio.models.modelfile import ModelFileError
from arstudio.training.config import TrainConfig
from arstudio.training.runs import Point, Run, RunError, list_runs
from arstudio.training.setup import DataView, build, new_trainer, pick_device, resume_trainer

POINT = Point(7, 1 / 3, 2.5, math.nan, 12.75, 0.1 + 0.2, 2e-3, math.inf, 1234.5)


@pytest.fixture
def start(stripes, tmp_path):
    """A function that makes a new trainer of a tiny NADE."""

    def make(name="run", settings=None, model="nade", **view):
        view = DataView(**{"dataset": str(stripes), **view})
        config = TrainConfig(epochs=2, batch=8)
        return new_trainer(tmp_path / name, view, model, config, settings or {"hidden": 4}, device="cpu")

    return make


@pytest.fixture
def finished(start):
    """Path of a run that has ended."""
    trainer = start()
    trainer.fit()
    return trainer.run.path


def refused(kind, sentence, attempt):
    with pytest.raises(kind, match=sentence) as caught:
        attempt()
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message


def files(path):
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def test_points_survive_the_csv_to_the_last_digit(tmp_path):
    run = Run.new(tmp_path / "run", {"status": "new"})
    run.points += [POINT, Point(8, 1.0, 3.0, 1e-9, 1e300, -0.0, 0.0, 1.0, 0.1)]
    run.save_points()
    again = Run.open(tmp_path / "run")
    assert repr(again.points) == repr(run.points)
    assert isinstance(again.points[0].step, int)
    assert again.record == {"format": 1, "status": "new"}
    again.save_record(status="finished", name="Zoë")
    assert Run.open(tmp_path / "run").record == {"format": 1, "status": "finished", "name": "Zoë"}


def test_a_directory_in_use_is_refused_and_left_alone(start, finished, tmp_path):
    before = files(finished)
    refused(RunError, "already holds a run; resume it with --resume, or choose another", start)
    assert files(finished) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    refused(RunError, r"mine is not empty; choose a new directory for the run\.", lambda: start("mine"))
    assert files(tmp_path / "mine") == {"thesis.txt": b"precious"}
    (tmp_path / "empty").mkdir()
    assert start("empty").run.path == tmp_path / "empty"


def test_a_place_that_cannot_be_written_is_refused(start, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    for name in ("file", "file/run"):
        refused(RunError, r"file is a file; choose a new directory for the run\.", lambda name=name: start(name))

    def read_only(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", read_only)
        refused(RunError, r"later cannot be written: Read-only file system\.", lambda: start("later"))
    assert start("later").run.record["status"] == "new", "the disk came back, the directory must be usable"


def test_a_setting_that_is_wrong_leaves_no_directory_behind(start, tmp_path):
    refused(ConfigError, "NADE has no setting 'depth'", lambda: start(settings={"depth": 3}))
    refused(ConfigError, "There is no model 'gan'", lambda: start(model="gan"))
    refused(DatasetError, "no dataset, folder or file", lambda: start(dataset="nonsuch"))
    refused(ConfigError, "needs integer levels", lambda: start(levels=0))
    assert not (tmp_path / "run").exists()


FOREIGN = [
    (None, r"is not a run directory: it has no run\.json\."),
    ("", r"is a damaged run directory \("), ("[1]", r"is a damaged run directory \("),
    ("{}", r"is a damaged run directory \('format'\)"), ('{"format": "1"}', r"is a damaged run directory \("),
    ('{"format": 2}', "was written by a newer AR Studio; update AR Studio to continue it"),
]


@pytest.mark.parametrize(("text", "sentence"), FOREIGN)
def test_a_directory_that_is_no_run_is_refused(tmp_path, text, sentence):
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    for attempt in (lambda: Run.open(tmp_path), lambda: resume_trainer(tmp_path)):
        refused(RunError, sentence, attempt)
    refused(RunError, "is not a run directory", lambda: Run.open(tmp_path / "nothing"))
    (tmp_path / "a file").write_text("x")
    refused(RunError, "is not a run directory", lambda: Run.open(tmp_path / "a file"))


@pytest.mark.parametrize("text", ["", "step\nx\n", "step,epoch\n1,2\n", "when\n1\n"])
def test_damaged_metrics_are_refused(finished, text):
    (finished / "metrics.csv").write_text(text)
    refused(RunError, "is a damaged run directory", lambda: Run.open(finished))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model", "gan"), ("model", None), ("config", {"depth": 1}), ("config", {"hidden": -1}),
        ("config", 3), ("spec", {"channels": 2, "height": 4, "width": 4, "levels": 2}),
        ("spec", {"channels": 1}), ("view", None), ("view", {"size": 3}), ("training", {"speed": 1}),
        ("num_classes", ...), ("num_classes", None), ("num_classes", "2"), ("num_classes", [2]), ("num_classes", -1),
        ("spec", ...), ("training", ...),
    ],
)
def test_a_damaged_record_is_refused(finished, key, value):
    record = json.loads((finished / "run.json").read_text())
    if value is ...:
        del record[key]
    else:
        record[key] = value
    (finished / "run.json").write_text(json.dumps(record))
    before = files(finished)
    refused(RunError, r"has a damaged run\.json \(", lambda: resume_trainer(finished, epochs=1, device="cpu"))
    assert files(finished) == before


def test_a_checkpoint_that_is_not_one_is_refused(finished, random_model):
    def attempt():
        return resume_trainer(finished, epochs=1, device="cpu")

    latest, whole = finished / "latest.safetensors", (finished / "latest.safetensors").read_bytes()
    latest.write_bytes((finished / "best.safetensors").read_bytes())
    refused(RunError, r"latest\.safetensors is not a training checkpoint, so it cannot be", attempt)
    latest.write_bytes(whole[:1000])
    refused(ModelFileError, r"latest\.safetensors is damaged, cut short", attempt)
    torch.save({}, latest)
    refused(ModelFileError, "is a pickle or zip archive", attempt)
    latest.unlink()
    refused(RunError, r"has no latest\.safetensors to resume from", attempt)
    latest.write_bytes(whole)
    assert attempt().live.epoch == 2


def test_weights_of_another_model_are_refused(start, finished):
    other = start("other", {"hidden": 5})
    other.fit()
    (finished / "latest.safetensors").write_bytes((other.run.path / "latest.safetensors").read_bytes())
    refused(
        RunError, r"The weights in .*latest\.safetensors do not fit the run, so it cannot be resumed; start a new one\.",
        lambda: resume_trainer(finished, epochs=1, device="cpu"),
    )


def test_a_dataset_that_changed_is_refused(finished, stripes):
    with np.load(stripes) as arrays:
        kept = {key: arrays[key] for key in arrays.files}
    np.savez(stripes, **{k: v[:, 1:] if k.endswith("_x") else v for k, v in kept.items()})
    refused(
        RunError, "trained on images of 5×4 · 2 levels, but the dataset now has 4×4",
        lambda: resume_trainer(finished, epochs=1, device="cpu"),
    )
    stripes.unlink()
    refused(DatasetError, "no dataset, folder or file", lambda: resume_trainer(finished, epochs=1))


def test_runs_are_listed_newest_first_without_what_is_damaged(tmp_path):
    for name, started in (("a", "2024-01-01"), ("b", "2025-01-01"), ("c", "2023-01-01")):
        Run.new(tmp_path / name, {"started": started})
    Run.new(tmp_path / "broken", {"started": "2026"})
    (tmp_path / "broken" / "run.json").write_text("{")
    (tmp_path / "not a run").mkdir()
    Run.new(tmp_path / "d", {"started": 2020})
    assert [run.path.name for run in list_runs(tmp_path)] == ["b", "a", "c", "d"]
    assert list_runs(tmp_path / "nowhere") == []


def test_a_list_reads_again_only_what_has_changed(tmp_path, monkeypatch):
    for name in ("a", "b"):
        Run.new(tmp_path / name, {"started": name})
    assert len(list_runs(tmp_path)) == 2
    opened, real = [], Run.open
    monkeypatch.setattr(Run, "open", lambda path: opened.append(path.name) or real(path))
    assert [run.path.name for run in list_runs(tmp_path)] == ["b", "a"]
    assert opened == []
    changed = real(tmp_path / "a")
    changed.points.append(POINT)
    changed.save_points()
    assert [len(run.points) for run in list_runs(tmp_path)] == [0, 1]
    changed.save_record(started="c")
    assert [run.path.name for run in list_runs(tmp_path)] == ["a", "b"]
    assert opened == ["a", "a"]
    (tmp_path / "b" / "run.json").unlink()
    assert [run.path.name for run in list_runs(tmp_path)] == ["a"]


def test_a_checkpoint_holds_numbers_only_and_all_there_is_to_go_on(finished):
    tensors = load_file(finished / "latest.safetensors")
    kinds = {name.partition(".")[0] for name in tensors}
    assert kinds == {"weights", "ema", "adam", "rng", "recent"}
    adam = {name for name in tensors if name.startswith("adam.0.")}
    assert adam == {"adam.0.step", "adam.0.exp_avg", "adam.0.exp_avg_sq"}


def test_weights_follow_the_seed_and_the_global_generator_is_left_alone(data):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (build("nade", data.spec, 2, {"hidden": 4}, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.V, again.V)
    assert not torch.equal(first.V, other.V)


def test_labels_make_a_conditional_model_unless_told_otherwise(start, stripes, tmp_path):
    assert start().model.num_classes == 2
    view, config = DataView(dataset=str(stripes)), TrainConfig(epochs=1)
    trainer = new_trainer(tmp_path / "u", view, "nade", config, classes=False, device="cpu")
    assert trainer.model.num_classes == 0


def test_a_device_there_is_not_is_refused():
    torch.backends.cudnn.allow_tf32 = True
    assert pick_device("cpu").type == "cpu"
    assert not torch.backends.cudnn.allow_tf32
    for name in ("abacus", "cuda:99", "meta", "cpu:3", ""):
        sentence = f"This machine cannot compute on '{name}'; use cpu or auto"
        refused(RunError, sentence, lambda name=name: pick_device(name))


def test_a_foreign_model_file_beside_a_run_does_no_harm(finished, random_model, data):
    save_model(finished / "copy.safetensors", random_model("nade", data.spec, 2, hidden=4))
    save_file({"x": torch.ones(1)}, finished / "x.safetensors")
    assert resume_trainer(finished, epochs=1, device="cpu").fit().status == "finished"
