"""Several processes with a part of each batch make the steps that one process makes with the whole of it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from arstudio.cli import app
from arstudio.models import load_model
from arstudio.training.runs import Run
from arstudio.training.workers import ALONE, join

TRAIN = ["train", "--dataset", "digits", "--model", "fvsbn", "--batch", "30", "--lr", "0.01", "--json"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(rank, port, *options):
    env = {**os.environ, "OMP_NUM_THREADS": "1", "RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
    env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-m", "arstudio", *TRAIN, "--device", "cpu", *map(str, options)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_reach_the_weights_of_one(tmp_path):
    port = free_port()
    group = [start(rank, port, "--epochs", 2, "--out", tmp_path / "two") for rank in range(2)]
    (out, error), (other, _) = (child.communicate(timeout=120) for child in group)
    assert [child.returncode for child in group] == [0, 0], error
    assert not other, "one process speaks"
    alone = CliRunner().invoke(app, [*TRAIN, "--device", "cpu", "--epochs", "2", "--out", str(tmp_path / "one")])
    single = json.loads(alone.stdout)
    both = json.loads(out)
    assert both["status"] == single["status"] == "finished"
    assert both["best_nats"] == pytest.approx(single["best_nats"], abs=1e-3)
    a, b = (load_file(tmp_path / name / "latest.safetensors") for name in ("one", "two"))
    assert a["adam.0.step"] == b["adam.0.step"] == 2 * 42
    for key in a:
        if key.startswith("weights"):
            torch.testing.assert_close(a[key], b[key], rtol=1e-3, atol=1e-4)
    assert [p.step for p in Run.open(tmp_path / "two").points] == [p.step for p in Run.open(tmp_path / "one").points]


def test_alone_is_the_rule(monkeypatch):
    assert join("cpu") is ALONE
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert join("cpu") is ALONE
    rows = torch.arange(5)
    assert torch.equal(ALONE.share(rows), rows)
    assert ALONE.add_up([], 2.5) == 2.5
    assert ALONE.agree(1.0, False) == [1.0, False]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_torchrun_starts_a_lost_training_again_and_a_killed_one_resumes(tmp_path):
    run, env = tmp_path / "run", {**os.environ, "OMP_NUM_THREADS": "1"}
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "1"]
    options = ["--model", "nade", "--set", "hidden=16", "--epochs", "30", "--out", str(run), "--device", "cpu"]
    command = [sys.executable, *launch, "-m", "arstudio", *TRAIN, *options]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as parent:
        deadline = time.monotonic() + 200
        while not (run / "latest.safetensors").exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        before = Run.open(run).points[-1].step
        worker = json.loads((run / "writer.lock").read_text())["pid"]
        os.kill(worker, signal.SIGKILL)    # torchrun starts both again, and they resume
        out, error = parent.communicate(timeout=400)
    assert parent.returncode == 0, error[-3000:]
    assert json.loads(out[out.index("{"):])["status"] == "finished"
    found = Run.open(run)
    assert found.record["status"] == "finished"
    assert found.points[-1].step == 30 * 42 > before
    assert not (run / "writer.lock").exists()
    load_model(run)
    alone = [sys.executable, "-m", "arstudio", "train", "--resume", str(run), "--epochs", "1", "--json"]
    longer = subprocess.run(alone, env=env, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(longer.stdout)["epochs"] >= 31
