"""A run that is killed without warning, again and again, ends as if nothing had happened. Slow: some minutes."""

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

pytestmark = pytest.mark.slow

CHILD = """
import sys
from pathlib import Path
from arstudio.training.loop import TrainConfig
from arstudio.training.setup import DataView, new_trainer, resume_trainer

path = Path(sys.argv[1])
if (path / "run.json").exists():
    trainer = resume_trainer(path, device="cpu")
else:
    config = TrainConfig(epochs=6, batch=16, autosave=0.2, validation_images=60, seed=3)
    trainer = new_trainer(path, DataView(dataset="digits"), "nade", config, {"hidden": 12}, device="cpu")
print("ready", flush=True)
print(trainer.fit().status, flush=True)
"""
KILLS = 50


def start(path):
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", CHILD, str(path)], env=env, stdout=subprocess.PIPE, text=True)


@pytest.mark.timeout(1800)
def test_fifty_kills_lose_nothing_but_time(tmp_path):
    whole = start(tmp_path / "whole")
    assert whole.communicate(timeout=600)[0].split() == ["ready", "finished"]
    chance, path, kills, ended = random.Random(0), tmp_path / "killed", 0, False
    while not ended:
        child = start(path)
        assert child.stdout.readline() == "ready\n", "every resume works"
        if kills < KILLS:
            time.sleep(chance.uniform(0.0, 0.5))
            child.send_signal(signal.SIGKILL)
            kills += 1
        ended = "finished" in child.communicate(timeout=600)[0]
        run = Run.open(path)    # readable at any moment
        if (path / "best.safetensors").exists():
            load_model(path / "best.safetensors")
        if (path / "latest.safetensors").exists() and not ended:
            assert resume_trainer(path, device="cpu").live.step >= 0
    assert kills > 5, "it was killed often enough to tell"
    a, b = (load_file(tmp_path / name / "latest.safetensors") for name in ("whole", "killed"))
    assert a.keys() == b.keys()
    for key in a:
        if key.startswith(("weights", "ema", "adam", "rng")):
            assert torch.equal(a[key], b[key]), key
    one, two = ({p.step: p.validation_nats for p in Run.open(tmp_path / name).points} for name in ("whole", "killed"))
    assert {step: two[step] for step in one} == one
    assert run.record["status"] == "finished"
