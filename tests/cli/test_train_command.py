"""`arstudio train` does what the room does, can be stopped, and says what it cannot learn from."""

import errno
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import SPEC, TINY, everything_in, figures, refused, run
from PIL import Image

from arstudio.data import load
from arstudio.models import load_model, save_model
from arstudio.training.config import TrainConfig
from arstudio.training.evaluation import evaluate
from arstudio.training.loop import Trainer
from arstudio.training.setup import DataView, new_trainer


def test_train_leaves_a_run_that_every_command_takes_and_that_goes_on(here):
    done = figures("train", "--dataset", "digits", *TINY, "--epochs", 0.5, "--seed", 1, "--out", "first")
    assert done["status"] == "finished"
    assert math.isfinite(done["best_nats"])
    assert done["best_bits_per_dim"] == pytest.approx(SPEC.bits_per_dim(done["best_nats"]))
    record = json.loads(Path("first/run.json").read_text())
    assert record["config"]["channels"] == 4
    assert record["training"]["seed"] == 1
    assert record["view"]["dataset"] == "digits"
    assert list(Path("first/samples").glob("*.png"))    # the film strip was drawn

    more = figures("train", "--resume", "first", "--epochs", 0.5)
    assert more["epochs"] == pytest.approx(1.0, abs=0.05)
    assert figures("sample", "first", "--count", 2)["model"] == "first"
    assert figures("evaluate", "first", "--limit", 5)["dataset"] == "digits"


def test_train_names_the_run_itself_when_not_told(here):
    for number in (1, 2):
        found = run("train", "--dataset", "digits", "--model", "fvsbn", "--epochs", 0.1, "--no-classes")
        assert found.exit_code == 0, found.output
        assert "best validation" in found.stdout
        assert f"arstudio sample runs/digits-fvsbn-{number}" in found.stdout
    record = json.loads(Path("runs/digits-fvsbn-2/run.json").read_text())
    assert record["num_classes"] == 0


def test_train_views_the_data_as_asked_and_evaluate_follows(here):
    figures(
        "train", "--dataset", "digits", "--model", "fvsbn", "--levels", 2, "--size", 6,
        "--binarise", "threshold", "--epochs", 0.1, "--out", "small",
    )
    found = figures("evaluate", "small")
    assert found["spec"] == {"channels": 1, "height": 6, "width": 6, "levels": 2}
    assert "half brightness" in found["protocol"]
    save_model("alone.safetensors", *_model_and_names("small"))
    assert "half brightness" in figures("evaluate", "alone.safetensors", "--dataset", "digits")["protocol"]
    assert "static" in figures("evaluate", "small", "--binarise", "static")["protocol"]


def test_a_run_on_coloured_pictures_seen_as_grey_is_evaluated_so(here):
    Path("colours").mkdir()
    rng = np.random.default_rng(0)
    for i in range(20):
        Image.fromarray(rng.integers(0, 256, (6, 6, 3)).astype(np.uint8)).save(f"colours/{i:02}.png")
    learn = ("train", "--dataset", "colours", "--model", "fvsbn", "--levels", 4, "--epochs", 1)
    figures(*learn, "--grey", "--out", "grey")
    found = figures("evaluate", "grey")
    assert found["spec"] == {"channels": 1, "height": 6, "width": 6, "levels": 4}
    assert ", grey; mean of exact" in found["protocol"]
    model, _ = load_model("grey")
    seen = load("colours", levels=4, grey=True)
    assert seen.spec.channels == 1
    assert found["nats"] == pytest.approx(evaluate(model, seen.test.x, None).nats, rel=1e-6)
    save_model("alone.safetensors", *_model_and_names("grey"))
    again = figures("evaluate", "alone.safetensors")
    assert (again["spec"], again["protocol"], again["nats"]) == (found["spec"], found["protocol"], found["nats"])
    figures(*learn, "--out", "coloured")
    assert figures("evaluate", "coloured")["spec"]["channels"] == 3


def _model_and_names(run_directory):
    model, card = load_model(run_directory)
    return model, card.class_names, card.facts


def test_a_run_killed_before_its_first_save_begins_again(here):
    settings = {"channels": 4, "head": 8, "dilations": (1,)}
    new_trainer("killed", DataView(dataset="digits"), "gated_pixelcnn", TrainConfig(epochs=0.1), settings)
    assert not Path("killed/latest.safetensors").exists()
    assert figures("train", "--resume", "killed")["status"] == "finished"
    assert Path("killed/latest.safetensors").exists()


def test_a_training_that_diverges_says_what_to_try(here, monkeypatch):
    monkeypatch.setattr(Trainer, "_healthy", lambda *_: False)
    found = run("train", "--dataset", "digits", *TINY, "--epochs", 1, "--out", "wild")
    assert found.exit_code == 1
    assert "learning rate" in found.stdout
    assert load_model("wild")


@pytest.mark.skipif(os.name == "nt", reason="SIGINT cannot be sent to one process there")
def test_ctrl_c_stops_a_training_that_then_resumes(here):
    command = [sys.executable, "-m", "arstudio", "train", "--dataset", "digits", *TINY, "--minutes", "5"]
    process = subprocess.Popen(
        [*command, "--out", "stopped"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        while process.poll() is None and not Path("stopped/metrics.csv").exists():
            pass_time()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert out.startswith("Stopped at epoch")
    assert "arstudio train --resume stopped" in out
    assert "Traceback" not in err
    assert json.loads(Path("stopped/run.json").read_text())["status"] == "stopped"
    assert not list(Path("stopped").glob(".*"))
    assert figures("train", "--resume", "stopped", "--minutes", 0.002)["status"] == "finished"


def pass_time():
    import time

    time.sleep(0.05)


IMAGES = {
    "a folder without images": ([], ("--size", 8), "The folder bad holds no pictures that can be read."),
    "two images": ([(8, 8)] * 2, (), "bad holds 2 readable images; at least 3 are needed, one for each split."),
    "one giant image": (
        [(9000, 8000)], ("--size", 8),
        "The folder bad holds no pictures that can be read: 0.png has 9000×8000 pixels; use one under 64 megapixels."),
    "mixed sizes": (
        [(8, 8)] * 3 + [(6, 4)], (), "The pictures in bad have different sizes, 8×8 (3), 4×6 (1): give a size to fit them to."),
    "unreadable files": (
        ["no picture"] * 3, (),
        "The folder bad holds no pictures that can be read: 0.png is not a picture that can be read; use a PNG, JPEG, GIF or "
        "BMP file."),
    "labels out of range": (
        np.full(9, -1), (), "The labels in bad.npz must be 9 whole numbers from 0, one per image."),
    "labels without a name": (np.arange(9), (), "bad.npz names 2 classes but its labels go up to 8; name every class."),
}


@pytest.mark.parametrize(("images", "options", "sentence"), IMAGES.values(), ids=IMAGES)
def test_images_that_cannot_be_learned_from_are_a_sentence_and_leave_no_run(images, options, sentence, here):
    if isinstance(images, list):
        Path("bad").mkdir()
        for i, made in enumerate(images):
            if isinstance(made, str):
                Path(f"bad/{i}.png").write_text(made)
            else:
                Image.new("1", made).save(f"bad/{i}.png")
        name = "bad"
    else:
        name = "bad.npz"
        np.savez(name, x=np.zeros((9, 4, 4), np.uint8), y=images, classes=np.array(["a", "b"]))
    before = everything_in(here)
    assert refused("train", "--dataset", name, *options, "--epochs", 1, "--out", "new") == sentence
    assert everything_in(here) == before


def test_three_images_are_enough(here):
    Path("three").mkdir()
    for i in range(3):
        Image.new("L", (4, 4), 80 * i).save(f"three/{i}.png")
    figures("train", "--dataset", "three", "--model", "fvsbn", "--epochs", 1, "--out", "run")
    assert figures("evaluate", "run")["images"] == 1


def test_a_run_of_a_newer_version_and_one_that_another_program_writes_are_sentences(here):
    figures("train", "--dataset", "digits", "--model", "fvsbn", "--epochs", 0.1, "--out", "run")
    from arstudio.training.lock import WriterLock

    lock = WriterLock(Path("run"))
    before = everything_in(here)
    assert "is being written by process" in refused("train", "--resume", "run", "--epochs", 1)
    assert everything_in(here) == before
    lock.release()
    record = Path("run/run.json")
    record.write_text(record.read_text().replace('"format": 1', '"format": 9'))
    before = everything_in(here)
    sentence = refused("train", "--resume", "run", "--epochs", 1)
    assert sentence == "run was written by a newer AR Studio; update AR Studio to continue it."
    assert everything_in(here) == before


def test_a_disk_that_fills_up_during_training_ends_in_a_sentence_and_a_run_that_resumes(here, monkeypatch):
    figures("train", "--dataset", "digits", *TINY, "--epochs", 0.2, "--out", "run")
    before = Path("run/latest.safetensors").read_bytes()

    def fail(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        assert "No space left" in refused("train", "--resume", "run", "--epochs", 0.2)
    assert Path("run/latest.safetensors").read_bytes() == before
    assert figures("train", "--resume", "run", "--epochs", 0.2)["status"] == "finished"


def test_a_continuous_model_is_trained_drawn_read_completed_and_evaluated(tmp_path):
    run_, one = tmp_path / "run", tmp_path / "one.png"
    trained = figures(
        "train", "--dataset", "digits", "--levels", 0, "--model", "rnade", "--set", "hidden=20", "--epochs", 1,
        "--device", "cpu", "--out", run_,
    )
    assert "a bound on that of the 17 levels" in trained["protocol"]
    measured = figures("evaluate", run_, "--limit", 40, "--device", "cpu")
    assert measured["bits_per_dim"] == pytest.approx((measured["nats"] + 64 * math.log(17)) / (64 * math.log(2)))
    assert "nats of density an image, at most" in run("evaluate", run_, "--limit", 40).output
    drawn = figures("sample", run_, "--count", 1, "--scale", 1, "--out", one)
    assert drawn["mean_bits_per_dim"] is None
    read = figures("inspect", run_, one, "--at", "4,3")
    assert len(read["pmf"]) == 256
    assert sum(read["mixture"]["weights"]) == pytest.approx(1)
    assert "density" in run("inspect", run_, one, "--at", "4,3").output
    done = figures("complete", run_, one, "--mask", "bottom", "--count", 2, "--out", tmp_path / "done")
    assert len(done["hidden_nats"]) == 2
