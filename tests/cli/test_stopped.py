"""Ctrl-C ends a long command with one sentence and code 130; what was finished until then is printed and written."""

import csv
import json
import multiprocessing
import signal
from pathlib import Path

import pytest
from commands import run

from arstudio.analysis import benchmarks, completion_scores, jacobi_bench, system_speeds, training_speed
from arstudio.cli import console
from arstudio.gui import benchmark
from arstudio.models.base import AutoregressiveModel
from arstudio.sampling.completion import Completer
from arstudio.training import estimate


@pytest.fixture
def stop(monkeypatch):
    """A function after which `owner.name` is Ctrl-C when it is called for the time that is given, counted from 1."""

    def at(owner, name, call):
        real, calls = getattr(owner, name), []

        def wrapped(*arguments, **options):
            calls.append(None)
            if len(calls) == call:
                raise KeyboardInterrupt
            return real(*arguments, **options)

        monkeypatch.setattr(owner, name, wrapped)

    return at


def stopped(*arguments):
    """What a stopped command printed, and its sentence."""
    found = run(*arguments)
    assert found.exit_code == 130, found.output
    sentence = found.stderr.rstrip("\n")
    assert "\n" not in sentence
    assert sentence.startswith("Stopped")
    return found.stdout, sentence


COMPLETION = ("evaluate", "completion", "M", "--limit", 2, "--particles", "2,4", "--masks", "top,left")


def test_the_rows_of_completions_are_printed_and_written(stop, mess, here):
    stop(completion_scores, "_row", 4)
    out, sentence = stopped(*COMPLETION[:2], mess / "M", *COMPLETION[3:], "--csv", "rows.csv", "--plot", "rows.png")
    assert sentence == "Stopped by Ctrl-C; rows measured until then: 3."
    assert [line.split(" | ")[1] for line in out.splitlines() if line.startswith("| top")] == [
        "clamp", "2 particles", "4 particles",
    ]
    rows = list(csv.DictReader(Path("rows.csv").read_text().splitlines()))
    assert [(row["mask"], row["method"], row["particles"]) for row in rows] == [
        ("top", "clamp", "0"), ("top", "particles", "2"), ("top", "particles", "4"),
    ]
    assert Path("rows.png").stat().st_size > 0


def test_before_the_first_row_there_is_nothing_to_write(stop, mess, here):
    stop(completion_scores, "_row", 1)
    assert stopped(*COMPLETION[:2], mess / "M", *COMPLETION[3:], "--csv", "rows.csv") == ("", "Stopped.")
    assert not list(here.iterdir())


def test_the_likelihood_of_the_images_that_were_seen_is_that_of_evaluating_only_them(stop, mess):
    asked = ("evaluate", mess / "M", "--json")
    expected = json.loads(run(*asked, "--limit", 20).stdout)
    stop(AutoregressiveModel, "log_prob_sites", 3)
    out, sentence = stopped(*asked, "--batch", 10, "--limit", 50)
    found = json.loads(out)
    assert found["nats"] == pytest.approx(expected["nats"], rel=1e-6)
    assert found["stderr_nats"] == pytest.approx(expected["stderr_nats"], rel=1e-5)
    assert (found["images"], found["protocol"]) == (20, expected["protocol"])
    assert sentence == "Stopped by Ctrl-C; images measured until then: 20 of 50."


def test_the_repeats_of_a_sampling_benchmark_are_kept(stop, mess):
    stop(benchmarks._Work, "measure", 5)
    out, sentence = stopped("bench", "sampling", "--model", mess / "M", "--batch", "1,2", "--repeats", 3, "--json")
    found = json.loads(out)
    assert found["repeats"] == 2
    assert "Medians of 2 interleaved repeats" in found["protocol"]
    assert [row["batch"] for row in found["rows"]] == [1, 2]
    assert all(row["identical"] and row["seconds"] > 0 and row["peak_bytes"] is None for row in found["rows"])
    assert "2 of 3" in sentence


def test_the_systems_that_were_measured_are_kept(stop):
    stop(system_speeds, "bench_sampling", 2)
    out, sentence = stopped("bench", "systems", "--image", "4x4:2", "--model", "fvsbn,nade", "--repeats", 1)
    assert "| FVSBN | 1 |" in out
    assert "NADE" not in out
    assert sentence == "Stopped by Ctrl-C; systems measured until then: 1."


def test_the_sizes_that_were_measured_are_kept_and_written(stop, here):
    stop(jacobi_bench, "count_iterations", 2)
    arguments = ("bench", "jacobi", "--sides", "4,5", "--seconds", 1, "--images", 2, "--out", "new", "--json")
    out, sentence = stopped(*arguments)
    rows = json.loads(out)["rows"]
    assert [row["side"] for row in rows] == [4]
    assert json.loads(Path("new/iterations.json").read_text())["rows"] == rows
    assert "sizes measured until then: 1 of 2" in sentence


def test_the_steps_that_were_timed_are_kept(stop):
    stop(training_speed._Contest, "measure", 5)    # two to warm up, two repeats
    arguments = ("bench", "training", "--channels", 4, "--batch", 2, "--image", "8x8:2", "--repeats", 3, "--json")
    out, sentence = stopped(*arguments)
    found = json.loads(out)
    assert found["repeats"] == 2
    assert [row["network"] for row in found["rows"]] == ["ours", "plain", "public"]
    assert "2 of 3" in sentence


def test_the_rows_of_all_systems_that_came_are_kept_and_no_process_goes_on(stop, here):
    stop(console.Bar, "report", 1)    # when the first row is there, and FVSBN trains
    arguments = ("--dataset", "digits:17", "--model", "histogram,fvsbn", "--seconds", 300, "--keep", "rows.json", "--json")
    out, _ = stopped("bench", "models", *arguments, "--workers", 2)
    rows = json.loads(out)["rows"]
    assert [row["title"] for row in rows] == ["Histogram"]
    assert json.loads(Path("rows.json").read_text())["rows"] == rows
    assert not multiprocessing.active_children()


def test_the_parts_of_the_window_that_were_measured_are_kept(stop, monkeypatch):
    monkeypatch.setattr(benchmark, "_child", lambda code, env: '{"clicks": []}' if "in_window" in code else "1.0")
    stop(benchmark, "_part", 3)
    out, sentence = stopped("bench", "gui")
    assert list(json.loads(out)) == list(benchmark._PARTS[:2])
    assert sentence == "Stopped."


@pytest.mark.parametrize("name", ["run", "finish"])
def test_a_completion_that_is_stopped_leaves_no_folder(name, stop, mess, here):
    for kind in (Completer, *Completer.__subclasses__()):
        if name in vars(kind):
            stop(kind, name, 1)
    assert stopped("complete", mess / "M", mess / "digit.png", "--out", "deep/er", "--mask", "top") == ("", "Stopped.")
    assert not list(here.iterdir())


def test_ctrl_c_before_the_first_step_leaves_a_run_that_says_how_to_go_on(monkeypatch, here):
    measure = estimate.estimate

    def interrupted(*arguments, progress, **options):
        signal.raise_signal(signal.SIGINT)
        return measure(*arguments, progress=progress, **options)

    monkeypatch.setattr(estimate, "estimate", interrupted)
    found = run("train", "--dataset", "digits", "--model", "fvsbn", "--minutes", 1, "--out", "new")
    assert found.exit_code == 130, found.output
    assert found.stdout.startswith("Stopped at epoch 0.0; best validation not measured yet.")
    assert "arstudio train --resume new" in found.stdout
    assert run("train", "--resume", "new", "--minutes", 0.001).exit_code == 0
