"""The command line does what the rooms do, prints pure JSON, and answers every mistake with one sentence."""

import errno
import json
import math
import os
import pickle
import shlex
import signal
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

from arstudio import __version__
from arstudio.cli import app
from arstudio.data import load
from arstudio.image import ImageSpec, load_levels, to_pil
from arstudio.models import load_model, save_model
from arstudio.models.modelfile import Facts
from arstudio.sampling import Sampler, SampleSettings, sample
from arstudio.sampling.export import read_info
from arstudio.sampling.sampler import balanced_classes
from arstudio.training.config import TrainConfig
from arstudio.training.evaluation import evaluate
from arstudio.training.loop import Trainer
from arstudio.training.setup import DataView, new_trainer

SPEC, RGB = ImageSpec(1, 8, 8, 17), ImageSpec(3, 5, 6, 4)
DIGITS = tuple("0123456789")
COMMANDS = (
    ["train"], ["sample"], ["complete"], ["inspect"], ["evaluate"], ["models"], ["datasets"], ["demo"],
    ["bench", "sampling"], ["bench", "gui"], ["evaluate", "likelihood"], ["evaluate", "completion"],
)
TINY = ("--set", "channels=4", "--set", "head=8", "--set", "dilations=1")


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def figures(*arguments):
    """The JSON a command prints, which must be all that it prints on stdout."""
    found = run(*arguments, "--json")
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def refused(*arguments):
    """The sentence with which a command refuses."""
    found = run(*arguments)
    assert found.exit_code == 2, found.output
    assert found.stdout == ""
    sentence = found.stderr.rstrip("\n")
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    assert sentence.endswith((".", "!", "?"))
    return sentence


@pytest.fixture(scope="module")
def room(tmp_path_factory, random_model):
    """A directory with two model files, a grey and an RGB picture of their sizes, and what is no model."""
    path = tmp_path_factory.mktemp("room")
    grey = random_model("gated_pixelcnn", SPEC, 10, channels=4, head=8, dilations=(1, 2))
    facts = Facts(dataset="digits", protocol="native 17 levels", nats=100.0, bits_per_dim=2.25, split="test")
    save_model(path / "grey.safetensors", grey, DIGITS, facts)
    save_model(path / "rgb.safetensors", random_model("pixelcnn", RGB, channels=6, blocks=1, head=6))
    named = random_model("fvsbn", SPEC, 2, class_dropout=0.0)
    save_model(path / "named.safetensors", named, ("Ankle boot", "Bag"))
    to_pil(load("digits").test.x[0], SPEC).save(path / "digit.png")
    x = np.random.default_rng(0).integers(0, 4, RGB.shape)
    to_pil(x, RGB).save(path / "colours.png")
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# -- help and start-up --------------------------------------------------------------------------------------


def test_the_command_line_starts_without_torch_and_without_qt():
    code = (
        "import sys, arstudio.cli; "
        "print([m for m in ('torch', 'PySide6', 'pyqtgraph', 'safetensors', 'PIL') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_version_is_the_package_s():
    assert run("--version").stdout == f"arstudio {__version__}\n"


def test_help_names_every_command():
    found = run("--help")
    assert found.exit_code == 0
    for name, *_ in COMMANDS:
        assert name in found.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_teaches_by_examples_that_are_real_commands(command):
    found = run(*command, "--help")
    assert found.exit_code == 0
    assert "Examples:" in found.stdout
    assert "     arstudio " in found.stdout    # indented, one to a line
    group = get_command(app)
    node = group
    for name in command:
        node = node.commands[name]
    assert max(map(len, node.help.splitlines())) <= 78    # else it breaks in the middle
    examples = [line.strip() for line in node.help.splitlines() if line.strip().startswith("arstudio ")]
    assert examples
    for example in examples:
        _, *words = shlex.split(example)
        leaf = group
        while words and words[0] in getattr(leaf, "commands", {}):
            leaf = leaf.commands[words.pop(0)]
        leaf.make_context("example", words)    # raises if an option or its type does not exist


@pytest.mark.parametrize("arguments", [(), ("bench",)])
def test_a_group_alone_shows_its_help(arguments):
    found = run(*arguments)
    assert found.exit_code == 0
    assert "Commands" in found.stdout


# -- train --------------------------------------------------------------------------------------------------


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


# -- sample -------------------------------------------------------------------------------------------------


def test_sample_draws_what_the_library_draws_and_writes_it_down(room, here):
    found = figures(
        "sample", room / "grey.safetensors", "--count", 4, "--seed", 3, "--temperature", 0.8, "--top-k", 5,
        "--out", "grid.png", "--gif", "draw.gif", "--csv", "draw.csv", "--scale", 2,
    )
    model, _ = load_model(room / "grey.safetensors")
    settings = SampleSettings(seed=3, temperature=0.8, top_k=5)
    trace = sample(model, 4, settings, balanced_classes(10, 4))
    assert found["nats"] == pytest.approx([trace.nats(i) for i in range(4)])
    assert found["mean_bits_per_dim"] == pytest.approx(SPEC.bits_per_dim(np.mean(found["nats"])))
    assert found["classes"] == [0, 1, 2, 3]
    assert found["files"] == ["grid.png", "draw.gif", "draw.csv"]
    info = read_info("grid.png")
    assert info == {key: found[key] for key in info}
    assert info["settings"]["seed"] == 3
    page = np.asarray(Image.open("grid.png"))
    first = np.asarray(to_pil(trace.image(0), SPEC, scale=2))
    assert (page[1:17, 1:17] == first).all()
    assert Image.open("draw.gif").n_frames > 10
    assert len(Path("draw.csv").read_text().splitlines()) == 1 + 4 * 64


def test_naive_and_incremental_write_the_same_picture(room, here):
    for method in ("naive", "incremental"):
        model, out = room / "grey.safetensors", f"{method}.png"
        assert run("sample", model, "--count", 3, "--method", method, "--out", out).exit_code == 0
    assert (np.asarray(Image.open("naive.png")) == np.asarray(Image.open("incremental.png"))).all()


def test_one_image_at_scale_1_reads_back_and_can_be_inspected(room, here):
    model = room / "grey.safetensors"
    run("sample", model, "--count", 1, "--scale", 1, "--seed", 9, "--class", 7, "--out", "one.png")
    drawn = sample(load_model(model)[0], 1, SampleSettings(seed=9), 7).image(0)
    assert (load_levels("one.png", SPEC) == drawn).all()
    assert figures("inspect", model, "one.png", "--at", "2,5")["value"] == drawn[0, 2, 5]


@pytest.mark.parametrize(("text", "index"), [("Bag", 1), ("ankle BOOT", 0), ("1", 1), ("0", 0)])
def test_a_class_is_given_by_name_or_number(room, text, index):
    found = figures("sample", room / "named.safetensors", "--count", 2, "--class", text)
    assert found["classes"] == [index, index]


def test_the_class_can_be_left_open(room):
    found = figures("sample", room / "grey.safetensors", "--count", 2, "--class", "none")
    assert found["classes"] == [None, None]
    assert figures("sample", room / "rgb.safetensors", "--count", 2)["classes"] is None


def test_none_leaves_the_class_open_to_the_inspector_too(room):
    asked = ("inspect", room / "grey.safetensors", room / "digit.png", "--at", "3,4")
    assert figures(*asked, "--class", "none")["pmf"] == figures(*asked)["pmf"] != figures(*asked, "--class", "3")["pmf"]


def test_a_file_in_the_place_of_a_folder_is_called_one(room, here):
    Path("notes.txt").write_text("mine")
    sentence = refused("complete", room / "grey.safetensors", room / "digit.png", "--count", 1, "--out", "notes.txt")
    assert sentence == "notes.txt is a file, and a folder of that name is needed; give another name."


def test_an_unknown_class_is_answered_with_the_ones_there_are(room):
    sentence = refused("sample", room / "named.safetensors", "--class", "hat", "--json")
    assert "Ankle boot (0), Bag (1)" in sentence
    assert "0, 1, 2" in refused("sample", room / "grey.safetensors", "--class", "10", "--json")
    assert "without classes" in refused("sample", room / "rgb.safetensors", "--class", "1", "--json")
    assert "class" in refused("sample", room / "named.safetensors", "--class", "none", "--json")


# -- complete -----------------------------------------------------------------------------------------------


def test_complete_keeps_the_known_pixels_and_ranks_the_rest(room, here):
    found = figures(
        "complete", room / "grey.safetensors", room / "digit.png", "--mask", "top", "--count", 3,
        "--class", 0, "--out", "deep/er",
    )
    assert json.loads(Path("deep/er/summary.json").read_text()) == found
    names = ["completion-1.png", "completion-2.png", "completion-3.png", "gallery.png", "agreement.png"]
    assert sorted(p.name for p in Path("deep/er").iterdir()) == sorted([*names, "summary.json"])
    x = load_levels(room / "digit.png", SPEC)
    for rank in (1, 2, 3):
        drawn = load_levels(f"deep/er/completion-{rank}.png", SPEC)
        assert (drawn[:, 4:] == x[:, 4:]).all()
        assert read_info(f"deep/er/completion-{rank}.png")["rank"] == rank
    assert found["hidden_nats"] == sorted(found["hidden_nats"])
    assert found["hidden_bits_per_site"][0] == pytest.approx(found["hidden_nats"][0] / 32 / math.log(2))
    assert (found["hidden_pixels"], found["known_pixels"], found["ignored_pixels"]) == (32, 32, 0)
    assert (found["method"], found["particles"], found["repeats"]) == ("particles", 128, 1)
    assert found["reason"].startswith("Chosen because 32 known pixels come after a hidden one")
    assert 1 <= found["ancestors"] <= 128
    assert found["trust"]["words"].startswith("128 particles agree on")
    agreement = np.asarray(Image.open("deep/er/agreement.png"))
    assert (agreement[-1] == (68, 1, 84)).all()    # known, so all agree


def test_the_white_of_a_mask_picture_is_hidden(room, here):
    hidden = np.zeros((8, 8), dtype=bool)
    hidden[2:5, 6:] = True
    Image.fromarray(hidden).save("mask.png")
    arguments = ("--mask", "mask.png", "--count", 2, "--out", "c")
    figures("complete", room / "grey.safetensors", room / "digit.png", *arguments)
    x, drawn = load_levels(room / "digit.png", SPEC), load_levels("c/completion-1.png", SPEC)
    assert (drawn[:, ~hidden] == x[:, ~hidden]).all()
    gallery = read_info("c/gallery.png")
    assert (gallery["mask"], gallery["hidden_pixels"]) == ("mask.png", 6)


@pytest.mark.parametrize("mask", ["bottom", "left", "right", "centre", "random:0.5"])
def test_every_preset_mask_works_in_colour_too(room, here, mask):
    arguments = ("--mask", mask, "--count", 2, "--out", "c")
    found = run("complete", room / "rgb.safetensors", room / "colours.png", *arguments)
    assert found.exit_code == 0, found.output
    assert ("Exact: all" if mask == "bottom" else "Particles: 128 particles weigh all") in found.stdout
    clamped = run("complete", room / "rgb.safetensors", room / "colours.png", *arguments, "--method", "clamp")
    assert "Clamping: " in clamped.stdout


def test_soft_evidence_moves_the_completions_and_repeats_tell_their_spread(room, here):
    arguments = ("--mask", "bottom", "--count", 40, "--particles", 64, "--repeats", 3, "--out", "c")
    means = {}
    for name, level in (("dark", 0), ("bright", 255)):
        Image.new("L", (8, 8), level).save(f"{name}.png")
        found = figures(
            "complete", room / "grey.safetensors", room / "digit.png", *arguments, "--about", f"{name}.png",
            "--certainty", 0.8,
        )
        assert found["method"] == "particles"
        assert found["log_evidence_spread_nats"] > 0
        assert "and what is told about others" in found["sentence"]
        drawn = np.stack([load_levels(f"c/completion-{i}.png", SPEC) for i in range(1, 41)])
        assert (drawn[:, :, :4] == load_levels(room / "digit.png", SPEC)[:, :4]).all()
        means[name] = drawn[:, :, 4:].mean()
    assert means["dark"] < 4 < 12 < means["bright"]


def test_a_picture_of_another_size_needs_fit(room, here):
    Image.new("RGB", (30, 20), (200, 30, 30)).save("photo.jpg")
    arguments = ("complete", room / "grey.safetensors", "photo.jpg", "--count", 2, "--out", "c")
    assert "--fit" in refused(*arguments)
    assert not Path("c").exists()
    assert run(*arguments, "--fit").exit_code == 0


# -- inspect ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [None, 4])
def test_inspect_tells_the_conditional_of_a_double_precision_forward_pass(room, given):
    model, _ = load_model(room / "grey.safetensors")
    x = load_levels(room / "digit.png", SPEC)
    extra = () if given is None else ("--class", given)
    found = figures("inspect", room / "grey.safetensors", room / "digit.png", "--at", "3,4", *extra)
    params = model.double()(torch.from_numpy(x).long()[None], given)
    pmf = model.likelihood.log_pmf(params).exp()[0, :, 0, 3, 4].detach().numpy()
    assert found["pmf"] == pytest.approx(pmf, abs=1e-12)
    assert sum(found["pmf"]) == pytest.approx(1, abs=1e-12)
    value = int(x[0, 3, 4])
    assert found["value"] == value
    assert found["log_prob_nats"] == pytest.approx(math.log(pmf[value]))
    assert found["surprise_bits"] == pytest.approx(-math.log2(pmf[value]))
    assert found["entropy_bits"] == pytest.approx(-(pmf * np.log2(pmf)).sum())
    assert found["rank"] == 1 + (pmf > pmf[value]).sum()
    mean = (np.arange(17) * pmf).sum()
    assert found["mean"] == pytest.approx(mean)
    assert found["sd"] == pytest.approx(math.sqrt(((np.arange(17) - mean) ** 2 * pmf).sum()))
    assert [entry["value"] for entry in found["top"]] == np.argsort(-pmf, kind="stable")[:5].tolist()
    assert found["class"] == (None if given is None else "4")


def test_inspect_reads_one_colour_at_a_time(room):
    x = load_levels(room / "colours.png", RGB)
    for channel in range(3):
        found = figures("inspect", room / "rgb.safetensors", room / "colours.png", "--at", f"2,3,{channel}")
        assert found["value"] == x[channel, 2, 3]
        assert found["step"] == (2 * 6 + 3) * 3 + channel


def test_inspect_shows_a_table_to_people(room):
    found = run("inspect", room / "grey.safetensors", room / "digit.png", "--at", "3,4")
    assert found.exit_code == 0
    assert "█" in found.stdout
    assert "here" in found.stdout
    assert "entropy" in found.stdout


# -- evaluate -----------------------------------------------------------------------------------------------


def test_evaluate_completion_scores_every_way_and_writes_rows_and_curves(room, here):
    found = figures(
        "evaluate", "completion", room / "grey.safetensors", "--masks", "top,bottom", "--limit", 2, "--particles", "4,16",
        "--csv", "rows.csv", "--plot", "rows.png",
    )
    assert [(row["mask"], row["method"], row["particles"]) for row in found["rows"]] == [
        ("top", "clamp", 0), ("top", "particles", 4), ("top", "particles", 16),
        ("bottom", "clamp", 0), ("bottom", "exact", 0), ("bottom", "particles", 4), ("bottom", "particles", 16),
    ]
    bottom = [row["nats"] for row in found["rows"][3:]]
    assert bottom == pytest.approx([bottom[0]] * 4, abs=1e-3)
    assert "digits test, the first 2 images" in found["protocol"]
    assert len(Path("rows.csv").read_text().splitlines()) == 8
    assert Image.open("rows.png").size == (900, 540)
    same = run("evaluate", "likelihood", room / "grey.safetensors", "--limit", 10)
    assert same.stdout == run("evaluate", room / "grey.safetensors", "--limit", 10).stdout


def test_evaluate_is_the_library_s_evaluation_and_writes_nothing(room, here):
    before = sorted(room.iterdir())
    found = figures("evaluate", room / "grey.safetensors", "--dataset", "digits", "--split", "test")
    model, _ = load_model(room / "grey.safetensors")
    test = load("digits").test
    expected = evaluate(model, test.x, test.y)
    assert found["nats"] == pytest.approx(expected.nats, abs=1e-4)
    assert found["bits_per_dim"] == pytest.approx(expected.bits_per_dim)
    assert found["stderr_nats"] == pytest.approx(expected.stderr, rel=1e-4)
    assert found["images"] == len(test.x)
    assert found["quantity"] == "p(x | class)"
    for part in ("digits test", "native 17 levels", "all 360 images", "p(x | class)"):
        assert part in found["protocol"]
    assert sorted(room.iterdir()) == before
    assert not list(here.iterdir())


def test_evaluate_without_classes_measures_p_of_x(room):
    model, _ = load_model(room / "grey.safetensors")
    expected = evaluate(model, load("digits").validation.x[:50])
    found = figures(
        "evaluate", room / "grey.safetensors", "--split", "validation", "--no-classes", "--limit", 50
    )
    assert found["nats"] == pytest.approx(expected.nats, abs=1e-4)
    assert found["images"] == 50
    assert found["conditional_on_class"] is False
    assert "the first 50 images" in found["protocol"]


def test_evaluate_prints_figures_and_protocol(room):
    found = run("evaluate", room / "grey.safetensors", "--limit", 10)
    assert found.exit_code == 0
    assert "bits/dim" in found.stdout
    assert "Protocol: digits test" in found.stdout


# -- models and datasets ------------------------------------------------------------------------------------


def test_models_lists_architectures_with_their_settings_and_bundled_files():
    found = figures("models")
    known = {entry["name"]: entry for entry in found["architectures"]}
    assert {"fvsbn", "nade", "pixelcnn", "gated_pixelcnn"} <= set(known)
    assert known["gated_pixelcnn"]["settings"]["channels"] > 0
    for entry in found["bundled"]:
        assert load_model(entry["name"])[1].spec == ImageSpec(**entry["spec"])
    assert "gated_pixelcnn" in run("models").stdout


def test_datasets_lists_the_bundled_ones_with_licence_and_source():
    found = {entry["name"]: entry for entry in figures("datasets")}
    assert {"digits", "mnist", "fashion", "emoji"} <= set(found)
    assert found["digits"]["splits"]["test"] == 360
    assert all(entry["licence"] and entry["source"] for entry in found.values())
    assert "digits" in run("datasets").stdout


# -- demo and bench gui -------------------------------------------------------------------------------------


def test_demo_and_bench_gui_hand_over_to_the_window(monkeypatch):
    calls = []
    for name in ("demo", "benchmark"):
        module = types.ModuleType(f"arstudio.gui.{name}")
        module.run = calls.append
        monkeypatch.setitem(sys.modules, f"arstudio.gui.{name}", module)
    assert run("demo", "--out", "shots").exit_code == 0
    assert run("bench", "gui", "--json").exit_code == 0
    assert calls == [Path("shots"), True]


# -- mistakes -----------------------------------------------------------------------------------------------

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
}


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
    "labels without a name": (np.arange(9), (), "bad.npz names 2 classes but its labels go up to 8."),
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


@pytest.fixture(scope="module")
def mess(room, tmp_path_factory):
    """A directory of things that are not what their names say."""
    path = tmp_path_factory.mktemp("mess")
    whole = (room / "grey.safetensors").read_bytes()
    (path / "M").write_bytes(whole)
    (path / "short.safetensors").write_bytes(whole[:-200])
    (path / "newer.safetensors").write_bytes(whole.replace(b'\\"format\\": 1', b'\\"format\\": 9'))
    (path / "pickle.safetensors").write_bytes(pickle.dumps({"weights": [1, 2]}))
    torch.save({"weights": torch.zeros(2)}, path / "torch.safetensors")
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3)}, path / "foreign.safetensors")
    picture = (room / "digit.png").read_bytes()
    (path / "digit.png").write_bytes(picture)
    (path / "short.png").write_bytes(picture[: len(picture) // 2])
    Image.new("L", (28, 28), 255).save(path / "large.png")
    Image.new("L", (8, 8), 0).save(path / "black.png")
    Image.new("RGB", (8, 8), (255, 0, 0)).save(path / "coloured.png")
    (path / "notes.txt").write_text("not a picture")
    (path / "empty").mkdir()
    (path / "empty.png").mkdir()
    (path / "used").mkdir()
    (path / "used" / "mine.txt").write_text("keep me")
    return path


def everything_in(path):
    return {p.relative_to(path): p.read_bytes() if p.is_file() else None for p in sorted(path.rglob("*"))}


@pytest.mark.parametrize("arguments", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_answered_with_one_sentence_and_changes_nothing(arguments, mess, monkeypatch):
    monkeypatch.chdir(mess)
    before = everything_in(mess)
    assert len(refused(*arguments)) < 260
    assert everything_in(mess) == before


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


def test_a_class_is_sharpened_by_guidance(tmp_path):
    drawn = [
        figures("sample", "digits-gated", "--count", 2, "--class", 3, "--guidance", weight, "--out", tmp_path / f"{weight}.png")
        for weight in (0, 2.5)
    ]
    assert [found["settings"]["guidance"] for found in drawn] == [0, 2.5]
    assert drawn[0]["nats"] != drawn[1]["nats"]
    refused = run("sample", "digits-gated", "--class", "none", "--guidance", 1, "--out", tmp_path / "no.png")
    assert refused.exit_code != 0
    assert "Guidance leads towards a class" in refused.output


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
