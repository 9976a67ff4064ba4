"""`arstudio sample`, `complete` and `inspect` draw and read what the library does, and write it down."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import RGB, SPEC, figures, refused, run
from PIL import Image

from arstudio.image import load_levels, to_pil
from arstudio.models import load_model
from arstudio.sampling import SampleSettings, sample
from arstudio.sampling.export import read_info
from arstudio.sampling.sampler import balanced_classes


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
