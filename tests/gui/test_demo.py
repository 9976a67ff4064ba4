"""The demo and the window's benchmark, as a person starts them. Slow: about two minutes."""

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

pytestmark = pytest.mark.slow


def arstudio(*arguments, cwd):
    env = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    return subprocess.run(
        [sys.executable, "-m", "arstudio", *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=600
    )


def test_the_demo_leaves_pictures_a_gif_and_a_summary_of_what_it_saw(tmp_path):
    result = arstudio("demo", "--out", "seen", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    for name in ("1-generate", "2-branch", "3-inspect", "4-complete", "5-train"):
        with Image.open(tmp_path / "seen" / f"{name}.png") as picture:
            assert picture.size == (1280, 800)
    with Image.open(tmp_path / "seen" / "generation.gif") as animation:
        assert animation.n_frames > 10
    summary = (tmp_path / "seen" / "summary.md").read_text()
    for word in ("was drawing", "Drew 9 images", "Gave pixel", "least expected pixel", "Completed", "Trained"):
        assert word in summary
    assert {path.name for path in tmp_path.iterdir()} == {"seen"}


def test_the_window_benchmark_reports_start_and_smoothness(tmp_path):
    result = arstudio("bench", "gui", "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert not found["import_loads_torch_or_qt"]
    assert 0 < found["first_paint_seconds"] < 60
    assert found["lag_max_ms"] >= found["lag_p99_ms"]
