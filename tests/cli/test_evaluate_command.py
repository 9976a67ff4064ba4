"""`arstudio evaluate` prints the figures of the library with their protocol."""

import json
from pathlib import Path

import pytest
from commands import figures, refused, run
from PIL import Image

from arstudio.data import load
from arstudio.models import load_model
from arstudio.training.evaluation import evaluate


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


@pytest.mark.parametrize("view", ["digits", -1, [1], {"colour": "red"}])
def test_a_run_whose_record_of_its_images_is_damaged_is_named(room, here, view):
    run_json = here / "run" / "run.json"
    run_json.parent.mkdir()
    run_json.write_text(json.dumps({"format": 1, "view": view}))
    (run_json.parent / "best.safetensors").write_bytes((room / "grey.safetensors").read_bytes())
    for command in (("evaluate",), ("evaluate", "completion")):
        assert refused(*command, "run").startswith("run has a damaged run.json (")


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
