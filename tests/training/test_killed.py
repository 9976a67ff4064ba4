"""A run that is killed without warning ends as if nothing had happened, and at most one interval between saves is lost.

Two kills at fixed steps, and, slow, fifty at random moments (a minute or two). One process imports torch and forks a trainer
for every life, so that a life costs no start of an interpreter. A trainer's clock counts how often it is looked at, 10 ms each
time, so that the interval between saves is the same number of steps on every machine.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from arstudio.models import load_model
from arstudio.training.runs import Run
from arstudio.training.setup import resume_trainer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills what was forked")

LIVES = """
import itertools, json, os, sys, time
from pathlib import Path
from arstudio.progress import Progress
from arstudio.training.config import TrainConfig
from arstudio.training.setup import DataView, new_trainer, resume_trainer

class Recorded(Progress):
    def __init__(self, path, halt):
        self.file, self.halt = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), halt

    def publish(self, live):
        os.pwrite(self.file, b"%08d" % live.step, 0)
        if live.step == self.halt:
            print("reached", live.step, flush=True)
            time.sleep(600)

def live(path, epochs, halt):
    path = Path(path)
    if (path / "run.json").exists():
        trainer = resume_trainer(path, device="cpu")
    else:
        config = TrainConfig(epochs=epochs, batch=16, autosave=AUTOSAVE, validation_images=60, seed=3)
        trainer = new_trainer(path, DataView(dataset="digits"), "nade", config, {"hidden": 12}, device="cpu")
    ticks = itertools.count()
    trainer.clock = lambda: 0.01 * next(ticks)
    print("ready", trainer.live.step, flush=True)
    print("ended", trainer.fit(Recorded(path.with_suffix(".step"), halt)).status, flush=True)

for line in sys.stdin:
    child = os.fork()
    if not child:
        print("born", os.getpid(), flush=True)
        live(**json.loads(line))
        os._exit(0)
    print("gone", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
AUTOSAVE = 1.0
INTERVAL = 50    # steps: one that is not the last of its life looks at the clock twice at least
KILLS = 50


class Lives:
    """Trainers that live one after the other."""

    def __init__(self, epochs):
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        program = LIVES.replace("AUTOSAVE", str(AUTOSAVE))
        self.epochs = epochs
        self.process = subprocess.Popen([sys.executable, "-c", program], env=env, text=True, **pipes)

    def expect(self, word):
        found, _, value = self.process.stdout.readline().strip().partition(" ")
        assert found == word, f"{found} {value}, not {word}"
        return value

    def begin(self, path, halt=-1):
        self.process.stdin.write(json.dumps({"path": str(path), "epochs": self.epochs, "halt": halt}) + "\n")
        self.process.stdin.flush()
        return int(self.expect("born")), int(self.expect("ready"))

    def kill(self, child):
        os.kill(child, signal.SIGKILL)
        assert self.expect("gone") == str(-signal.SIGKILL), "it was killed before its end"

    def whole(self, path):
        self.begin(path)
        assert self.expect("ended") == "finished"
        assert self.expect("gone") == "0"

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0


def steps_lost(path):
    """Steps that were done before the kill and are to be done again."""
    resumed = resume_trainer(path, device="cpu").live.step
    return int(path.with_suffix(".step").read_bytes() or 0) - resumed    # empty: it had not begun a step


def assert_same_end(one, other):
    a, b = (load_file(path / "latest.safetensors") for path in (one, other))
    assert a.keys() == b.keys()
    for key in a:
        if key.startswith(("weights", "ema", "adam", "rng")):
            assert torch.equal(a[key], b[key]), key
    one, two = ({p.step: p.validation_nats for p in Run.open(path).points} for path in (one, other))
    assert {step: two[step] for step in one} == one


def test_a_kill_loses_one_interval_between_saves_at_most(tmp_path):
    lives, path, lost = Lives(epochs=2), tmp_path / "killed", []
    lives.whole(tmp_path / "whole")
    for halt in (60, 125):    # in the first and the second epoch, of 67 steps, whose ends save too
        child, step = lives.begin(path, halt)
        assert lives.expect("reached") == str(halt)
        assert (step > 0) == (halt > 67)
        lives.kill(child)
        lost.append(steps_lost(path))
    assert max(lost) <= INTERVAL
    assert max(lost) > 0, "it was killed between two saves"
    lives.whole(path)
    lives.close()
    assert_same_end(tmp_path / "whole", path)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_fifty_kills_lose_nothing_but_time(tmp_path):
    lives, chance, path, steps = Lives(epochs=60), random.Random(0), tmp_path / "killed", []
    lives.whole(tmp_path / "whole")
    for _ in range(KILLS):
        child, step = lives.begin(path)    # every resume works
        steps.append(step)
        time.sleep(chance.uniform(0.0, 0.4))
        lives.kill(child)
        Run.open(path)                     # nothing is ever unreadable
        for name in ("best", "latest"):
            if (path / f"{name}.safetensors").exists():
                load_model(path / f"{name}.safetensors")
        if (path / "latest.safetensors").exists():
            assert resume_trainer(path, device="cpu").live.step >= step
            assert steps_lost(path) <= INTERVAL
    assert steps == sorted(steps)
    assert len(set(steps)) > KILLS / 3, "it came forward between kills"
    lives.whole(path)
    lives.close()
    assert_same_end(tmp_path / "whole", path)
    assert Run.open(path).record["status"] == "finished"
