"""Every mistake is answered with one sentence and changes nothing; so is trouble with the disk."""

import errno
import os
import warnings
from pathlib import Path

import pytest
from commands import TINY, everything_in, figures, refused, run
from PIL import Image

from arstudio.sampling import Sampler

LEARN = ("train", "--epochs", 1, "--out", "new", "--dataset")
MISTAKES = {
    "no command of that name": ("sampel",),
    "no option of that name": ("sample", "M", "--cuont", 3),
    "no model given": ("sample",),
    "an option that is no number": ("sample", "M", "--count", "many"),
    "no --out": ("sample", "M"),
    "no model of that name": ("sample", "nosuch", "--out", "new.png"),
    "a model file that is not there": ("sample", "nosuch.safetensors", "--out", "new.png"),
    "a truncated model": ("sample", "short.safetensors", "--out", "new.png"),
    "a foreign safetensors": ("sample", "foreign.safetensors", "--out", "new.png"),
    "a pickle in disguise": ("sample", "pickle.safetensors", "--out", "new.png"),
    "a torch file in disguise": ("sample", "torch.safetensors", "--out", "new.png"),
    "a newer model": ("sample", "newer.safetensors", "--out", "new.png"),
    "a picture as model": ("sample", "digit.png", "--out", "new.png"),
    "a directory that is no run": ("sample", "empty", "--out", "new.png"),
    "a missing directory": ("sample", "M", "--out", "missing/new.png"),
    "a directory as file": ("sample", "M", "--out", "empty.png"),
    "another kind of file": ("sample", "M", "--out", "new.jpg"),
    "a bad temperature": ("sample", "M", "--temperature", -1, "--out", "new.png"),
    "a bad top-p": ("sample", "M", "--top-p", 0, "--out", "new.png"),
    "no images": ("sample", "M", "--count", 0, "--out", "new.png"),
    "more images than memory holds": ("sample", "M", "--count", 10**12, "--out", "new.png"),
    "a seed below 0": ("sample", "M", "--seed", -1, "--out", "new.png"),
    "no such method": ("sample", "M", "--method", "magic", "--out", "new.png"),
    "an unknown class": ("sample", "M", "--class", "cat", "--out", "new.png"),
    "a device that is not there": ("sample", "M", "--device", "abacus", "--out", "new.png"),
    "a device that computes nothing": (*LEARN, "digits", "--device", "meta"),
    "no picture": ("complete", "M", "nosuch.png", "--out", "new"),
    "a text as picture": ("complete", "M", "notes.txt", "--out", "new"),
    "a truncated picture": ("complete", "M", "short.png", "--out", "new"),
    "a picture of another size": ("complete", "M", "large.png", "--out", "new"),
    "a coloured picture": ("complete", "M", "coloured.png", "--out", "new"),
    "no folder": ("complete", "M", "digit.png"),
    "no such mask": ("complete", "M", "digit.png", "--mask", "middle", "--out", "new"),
    "a mask without share": ("complete", "M", "digit.png", "--mask", "random:2", "--out", "new"),
    "a mask of another size": ("complete", "M", "digit.png", "--mask", "large.png", "--out", "new"),
    "a mask that hides nothing": ("complete", "M", "digit.png", "--mask", "black.png", "--out", "new"),
    "no such way to complete": ("complete", "M", "digit.png", "--method", "guess", "--out", "new"),
    "an exact way where there is none": ("complete", "M", "digit.png", "--mask", "top", "--method", "exact", "--out", "new"),
    "one particle": ("complete", "M", "digit.png", "--particles", 1, "--out", "new"),
    "no repeats": ("complete", "M", "digit.png", "--repeats", 0, "--out", "new"),
    "moves backwards": ("complete", "M", "digit.png", "--moves", -1, "--out", "new"),
    "no completions": ("complete", "M", "digit.png", "--mask", "top", "--count", 0, "--out", "new"),
    "a negative time": ("complete", "M", "digit.png", "--seconds", -1, "--out", "new"),
    "more than certain": ("complete", "M", "digit.png", "--about", "digit.png", "--certainty", 1.5, "--out", "new"),
    "clamping what is told": (
        "complete", "M", "digit.png", "--about", "digit.png", "--method", "clamp", "--out", "new"),
    "a file as folder": ("complete", "M", "digit.png", "--out", "notes.txt"),
    "no place": ("inspect", "M", "digit.png"),
    "a row outside": ("inspect", "M", "digit.png", "--at", "8,0"),
    "a column outside": ("inspect", "M", "digit.png", "--at", "0,-1"),
    "a channel outside": ("inspect", "M", "digit.png", "--at", "0,0,1"),
    "a place of one number": ("inspect", "M", "digit.png", "--at", "3"),
    "a place of words": ("inspect", "M", "digit.png", "--at", "top,left"),
    "a picture of another size to inspect": ("inspect", "M", "large.png", "--at", "0,0"),
    "no such dataset": ("evaluate", "M", "--dataset", "nosuch"),
    "particles of nothing": ("evaluate", "completion", "M", "--particles", "1,2"),
    "a method there is not": ("evaluate", "completion", "M", "--methods", "clamp,guess"),
    "no mask to evaluate": ("evaluate", "completion", "M", "--masks", ","),
    "a mask to evaluate that there is not": ("evaluate", "completion", "M", "--masks", "middle"),
    "a plot of another kind": ("evaluate", "completion", "M", "--plot", "new.jpg"),
    "no exact way to evaluate": ("evaluate", "completion", "M", "--masks", "top", "--methods", "exact"),
    "orders of a model with one": ("evaluate", "M", "--orders", 3),
    "no such split": ("evaluate", "M", "--split", "exam"),
    "another colour of dataset": ("evaluate", "M", "--dataset", "emoji"),
    "other classes": ("evaluate", "M", "--dataset", "fashion"),
    "nothing to learn from": ("train",),
    "no budget": ("train", "--dataset", "digits", "--out", "new"),
    "an empty folder": (*LEARN, "empty"),
    "an unknown architecture": (*LEARN, "digits", "--model", "gan"),
    "an unknown setting": (*LEARN, "digits", "--set", "depth=3"),
    "a setting without value": (*LEARN, "digits", "--set", "depth"),
    "a setting of another kind": (*LEARN, "digits", "--set", "channels=x"),
    "an unknown order": (*LEARN, "digits", "--model", "fvsbn", "--set", "order=zigzag"),
    "reals for a model of levels": (*LEARN, "digits", "--levels", 0, "--model", "nade"),
    "more levels than there are": (*LEARN, "digits", "--levels", 64),
    "a larger size": (*LEARN, "digits", "--size", 64),
    "an odd binarisation": (*LEARN, "digits", "--binarise", "hard"),
    "more weights than memory holds": (*LEARN, "digits", "--set", "channels=1000000"),
    "a seed of more than 63 bits": (*LEARN, "digits", "--seed", 2**63),
    "a bad batch": (*LEARN, "digits", "--batch", 0),
    "a directory that is in use": ("train", "--dataset", "digits", "--epochs", 1, "--out", "used"),
    "a run below a file": ("train", "--dataset", "digits", "--epochs", 1, "--out", "notes.txt/run"),
    "nothing to resume": ("train", "--resume", "empty"),
    "resume and a dataset": ("train", "--resume", "empty", "--dataset", "digits"),
    "an odd batch list": ("bench", "sampling", "--batch", "a,b"),
    "more images to time than memory holds": ("bench", "sampling", "--model", "M", "--batch", "1,99999999999999999999"),
}


@pytest.mark.parametrize("arguments", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_answered_with_one_sentence_and_changes_nothing(arguments, mess, monkeypatch):
    monkeypatch.chdir(mess)
    before = everything_in(mess)
    assert len(refused(*arguments)) < 260
    assert everything_in(mess) == before


def test_pillow_s_warning_of_large_pictures_is_not_printed_beside_the_sentence(mess, monkeypatch):
    command = ("inspect", mess / "M", mess / "digit.png", "--at", "0,0", "--json")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)    # of 64: a warning
    with warnings.catch_warnings(action="error"):
        assert figures(*command)["row"] == 0
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)    # an error
    assert refused(*command) == "digit.png has far too many pixels; use one under 64 megapixels."


def test_the_newer_file_is_really_taken_for_newer(mess):
    assert "newer AR Studio" in refused("sample", mess / "newer.safetensors", "--json")


@pytest.mark.parametrize("arguments", [
    ("sample", "M", "--out", "kept.png", "--gif", "kept.gif"),
    ("complete", "M", "digit.png", "--count", 2, "--out", "."),
], ids=["sample", "complete"])
@pytest.mark.parametrize(("trouble", "code"), [
    (OSError(errno.ENOSPC, "No space left on device"), 2), (KeyboardInterrupt(), 130),
], ids=["a full disk", "Ctrl-C while writing"])
def test_trouble_while_writing_leaves_the_old_file_and_no_half_of_a_new_one(
    room, here, monkeypatch, arguments, trouble, code
):
    for name in ("kept.png", "kept.gif", "completion-1.png", "gallery.png"):
        Path(name).write_bytes(b"old")
    Path("M").write_bytes((room / "grey.safetensors").read_bytes())
    Path("digit.png").write_bytes((room / "digit.png").read_bytes())
    before = everything_in(here)

    def fail(_):
        raise trouble

    monkeypatch.setattr(os, "fsync", fail)
    found = run(*arguments)
    assert found.exit_code == code, found.output
    assert found.stderr.count("\n") == 1
    assert ("No space left" in found.stderr) is (code == 2)
    assert everything_in(here) == before


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="everything can be written here")
def test_a_read_only_directory_is_said_before_the_work(room, here):
    here.chmod(0o500)
    try:
        assert "read-only" in refused("sample", room / "grey.safetensors", "--out", "new.png")
        assert refused("train", "--dataset", "digits", *TINY, "--epochs", 1, "--out", "new")
    finally:
        here.chmod(0o700)


def test_ctrl_c_while_drawing_stops_quietly(room, here, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Sampler, "_draw", interrupted)
    found = run("sample", room / "grey.safetensors", "--out", "new.png")
    assert found.exit_code == 130
    assert found.stderr == "Stopped.\n"
    assert not list(here.iterdir())


def test_a_bug_keeps_its_traceback(room, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Sampler, "_draw", broken)
    found = run("sample", room / "grey.safetensors", "--json")
    assert isinstance(found.exception, ZeroDivisionError)


FOLDERS = [("complete", "M", "digit.png", "--mask", "top"), ("bench", "jacobi", "--sides", "4"), ("demo",)]


@pytest.mark.parametrize("command", FOLDERS, ids=["complete", "jacobi", "demo"])
def test_a_folder_that_cannot_be_is_said_before_the_work(command, mess, monkeypatch):
    monkeypatch.chdir(mess)
    monkeypatch.setattr(Sampler, "run", lambda *_: pytest.fail("the work has begun"))
    before = everything_in(mess)
    for out in ("notes.txt", "notes.txt/below"):
        assert "notes.txt is a file, and a folder of that name is needed" in refused(*command, "--out", out)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    assert f"The folder {mess} is read-only" in refused(*command, "--out", "new/below")
    assert everything_in(mess) == before


@pytest.mark.parametrize(("trouble", "code"), [
    (OSError(errno.ENOSPC, "No space left on device"), 2), (KeyboardInterrupt(), 130),
], ids=["a full disk", "Ctrl-C while writing"])
def test_trouble_with_the_first_file_of_a_new_folder_leaves_no_folder(trouble, code, mess, here, monkeypatch):
    def fail(_):
        raise trouble

    monkeypatch.setattr(os, "fsync", fail)
    found = run("complete", mess / "M", mess / "digit.png", "--mask", "top", "--count", 2, "--out", "deep/er")
    assert found.exit_code == code, found.output
    assert not list(here.iterdir())
