"""A run that is killed without warning, fifty times at random moments, ends as if nothing had happened. Slow: a minute or two.

One process imports torch and forks a trainer for every life, so that a life costs no start of an interpreter.
"""

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

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="kills what was forked")]

LIVES = """
import os, sys
from pathlib import Path
from arstudio.training.config import TrainConfig
from arstudio.training.setup import DataView, new_trainer, resume_trainer

def live(path):
    if (path / "run.json").exists():
        trainer = resume_trainer(path, device="cpu")
    else:
        config = TrainConfig(epochs=60, batch=16, autosave=0.1, validation_images=60, seed=3)
        trainer = new_trainer(path, DataView(dataset="digits"), "nade", config, {"hidden": 12}, device="cpu")
    print("ready", trainer.live.step, flush=True)
    print("ended", trainer.fit().status, flush=True)

for line in sys.stdin:
    child = os.fork()
    if not child:
        print("born", os.getpid(), flush=True)
        live(Path(line.strip()))
        os._exit(0)
    print("gone", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
KILLS = 50


class Lives:
    """Trainers that live one after the other."""

    def __init__(self):
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([sys.executable, "-c", LIVES], env=env, text=True, **pipes)

    def expect(self, word):
        found, _, value = self.process.stdout.readline().strip().partition(" ")
        assert found == word, f"{found} {value}, not {word}"
        return value

    def begin(self, path):
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        return int(self.expect("born")), int(self.expect("ready"))


@pytest.mark.timeout(1800)
def test_fifty_kills_lose_nothing_but_time(tmp_path):
    lives, chance, path, steps = Lives(), random.Random(0), tmp_path / "killed", []
    lives.begin(tmp_path / "whole")
    assert lives.expect("ended") == "finished"
    assert lives.expect("gone") == "0"
    for _ in range(KILLS):
        child, step = lives.begin(path)    # every resume works
        steps.append(step)
        time.sleep(chance.uniform(0.0, 0.4))
        os.kill(child, signal.SIGKILL)
        assert lives.expect("gone") == str(-signal.SIGKILL), "it was killed before its end"
        Run.open(path)                     # nothing is ever unreadable
        for name in ("best", "latest"):
            if (path / f"{name}.safetensors").exists():
                load_model(path / f"{name}.safetensors")
        if (path / "latest.safetensors").exists():
            assert resume_trainer(path, device="cpu").live.step >= step
    assert steps == sorted(steps)
    assert len(set(steps)) > KILLS / 3, "it came forward between kills"
    lives.begin(path)
    assert lives.expect("ended") == "finished"
    lives.process.stdin.close()
    assert lives.process.wait(60) == 0
    a, b = (load_file(tmp_path / name / "latest.safetensors") for name in ("whole", "killed"))
    assert a.keys() == b.keys()
    for key in a:
        if key.startswith(("weights", "ema", "adam", "rng")):
            assert torch.equal(a[key], b[key]), key
    one, two = ({p.step: p.validation_nats for p in Run.open(tmp_path / name).points} for name in ("whole", "killed"))
    assert {step: two[step] for step in one} == one
    assert Run.open(path).record["status"] == "finished"
