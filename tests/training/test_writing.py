"""One program writes a run; what the disk refuses ends no training, and what was saved before stays readable."""

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from arstudio.models import load_model
from arstudio.models.modelfile import WriteError
from arstudio.progress import Progress
from arstudio.training.config import TrainConfig
from arstudio.training.lock import NAME, SILENCE, RunBusy, WriterLock, writer_of
from arstudio.training.runs import Run, RunError
from arstudio.training.setup import DataView, new_trainer, resume_trainer

HOLDER = "import sys; from pathlib import Path; from arstudio.training.lock import WriterLock\n" \
         "lock = WriterLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"


class At(Progress):
    """Calls functions after so many steps."""

    def __init__(self, **calls):
        self.step, self.calls = 0, {int(name.removeprefix("step")): call for name, call in calls.items()}

    def report(self, fraction, text=""):
        self.step += 1
        self.calls.get(self.step, lambda: None)()


@pytest.fixture
def begin(stripes, tmp_path):
    """A function that makes a trainer of a tiny NADE: 3 steps an epoch."""

    def make(name="run", **config):
        config = TrainConfig(**{"epochs": 4, "batch": 8, **config})
        return new_trainer(tmp_path / name, DataView(dataset=str(stripes)), "nade", config, {"hidden": 4}, device="cpu")

    return make


@pytest.fixture
def holder(tmp_path):
    """A function that lets another process hold a run; the process."""
    children = []

    def hold(run):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        child = subprocess.Popen([sys.executable, "-c", HOLDER, str(run)], text=True, **pipes)
        children.append(child)
        assert child.stdout.readline() == "held\n"
        return child

    yield hold
    for child in children:
        child.kill()
        child.communicate()


def files(path):
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file() and p.name != NAME}


def test_a_run_that_another_process_writes_is_left_alone_until_that_one_is_gone(begin, holder):
    path = begin(epochs=1)
    path.fit()
    path = path.run.path
    before, child = files(path), holder(path)
    assert writer_of(path) == f"process {child.pid} on {socket.gethostname()}"
    trainer = resume_trainer(path, epochs=1, device="cpu")
    with pytest.raises(RunBusy, match=rf"being written by process {child.pid} on .*; stop that training first.*\.$"):
        trainer.fit()
    assert files(path) == before
    child.kill()    # leaves its file behind, and nobody has to clear it away
    child.wait()
    assert (path / NAME).exists()
    assert writer_of(path) == ""
    assert trainer.fit().status == "finished"
    assert not (path / NAME).exists()


def test_two_trainers_of_one_program_do_not_write_one_run_either(begin):
    trainer, other = begin(), []

    def second():
        with pytest.raises(RunBusy):
            resume_trainer(trainer.run.path, epochs=1, device="cpu").fit()
        other.append(writer_of(trainer.run.path))

    assert trainer.fit(At(step4=second)).status == "finished"
    assert other == [f"process {os.getpid()} on {socket.gethostname()}"]


def test_who_opened_a_run_before_it_went_on_must_open_it_anew(begin):
    trainer = begin(epochs=1)
    trainer.fit()
    old = resume_trainer(trainer.run.path, epochs=1, device="cpu")
    assert resume_trainer(trainer.run.path, epochs=2, device="cpu").fit().status == "finished"
    after = files(trainer.run.path)
    with pytest.raises(RunError, match=r"Another program has gone on with .* meanwhile; resume it anew\.$"):
        old.fit()
    assert files(trainer.run.path) == after
    assert not (trainer.run.path / NAME).exists()


def test_another_computer_is_believed_while_it_gives_signs_of_life(tmp_path):
    words = json.dumps({"host": "elsewhere", "pid": 7, "token": "x"})
    (tmp_path / NAME).write_text(words)
    with pytest.raises(RunBusy, match="being written by process 7 on elsewhere"):
        WriterLock(tmp_path)
    assert writer_of(tmp_path) == "process 7 on elsewhere"
    assert (tmp_path / NAME).read_text() == words
    long_ago = time.time() - SILENCE - 1
    os.utime(tmp_path / NAME, (long_ago, long_ago))
    assert writer_of(tmp_path) == ""
    lock = WriterLock(tmp_path)
    assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()
    lock.release()


def test_the_writer_shows_that_it_lives(tmp_path, monkeypatch):
    lock = WriterLock(tmp_path)
    os.utime(tmp_path / NAME, (0, 0))
    lock.beat()
    assert (tmp_path / NAME).stat().st_mtime == 0, "not at every step"
    monkeypatch.setattr("arstudio.training.lock.BEAT", -1.0)
    lock.beat()
    assert (tmp_path / NAME).stat().st_mtime > 0
    lock.release()


def test_who_was_taken_for_dead_writes_nothing_more(begin):
    trainer = begin(epochs=6)
    path = trainer.run.path

    def taken():
        (path / NAME).write_text(json.dumps({"host": "elsewhere", "pid": 7, "token": "x"}))
        kept.update(files(path))

    kept = {}
    with pytest.raises(RunBusy, match="taken over by process 7 on elsewhere"):
        trainer.fit(At(step4=taken))
    assert files(path) == kept
    assert (path / NAME).exists(), "it is not ours"


@pytest.mark.parametrize("words", ["", "{", "[1]", "\x00\xff"])
def test_a_damaged_lock_of_nobody_stops_nobody(tmp_path, words):
    (tmp_path / NAME).write_text(words)
    WriterLock(tmp_path).release()


def test_a_disk_that_is_full_for_a_while_costs_nothing(begin, monkeypatch):
    whole, trainer = begin("whole"), begin("run")
    whole.fit()
    fsync, path = os.fsync, trainer.run.path

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    def look():
        load_model(path / "best.safetensors")
        seen.append(resume_trainer(path, device="cpu").live.step)

    seen = []
    outcome = trainer.fit(At(
        step4=lambda: monkeypatch.setattr(os, "fsync", full), step8=look,
        step10=lambda: monkeypatch.setattr(os, "fsync", fsync),
    ))
    assert outcome.status == "finished"
    assert outcome.sentence.count("No space left on device") == 1
    assert "training goes on, and the next save tries again" in outcome.sentence
    assert seen == [3], "the save before stays readable"
    assert [p.validation_nats for p in Run.open(path).points] == [p.validation_nats for p in whole.live.points]
    for name in ("best", "latest"):
        one, two = (load_file(run / f"{name}.safetensors") for run in (whole.run.path, path))
        assert all(torch.equal(one[key], two[key]) for key in one | two)


def test_a_drive_that_is_gone_ends_in_a_sentence_and_what_it_holds_is_readable(begin, tmp_path):
    trainer = begin()
    path, elsewhere = trainer.run.path, tmp_path / "in a pocket"
    with pytest.raises(WriteError, match=r"could not be written \(No such file or directory\); .*\.$"):
        trainer.fit(At(step5=lambda: shutil.move(path, elsewhere)))
    assert not path.exists(), "nothing is made where the drive was"
    assert resume_trainer(elsewhere, device="cpu").live.step == 3
    load_model(elsewhere)


def test_a_run_of_a_newer_version_is_left_as_it_is(begin):
    trainer = begin(epochs=1)
    trainer.fit()
    path = trainer.run.path
    record = json.loads((path / "run.json").read_text()) | {"format": 99}
    (path / "run.json").write_text(json.dumps(record))
    before = files(path)
    with pytest.raises(RunError, match="written by a newer AR Studio; update AR Studio to continue it"):
        resume_trainer(path, epochs=1, device="cpu")
    assert files(path) == before
