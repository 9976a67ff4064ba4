"""Every registered model in every panel: opened from a file, drawn, inspected, branched and completed in the real window."""

import numpy as np
import pytest
from PySide6.QtCore import Qt

from arstudio.image import ImageSpec
from arstudio.models import MODELS, preset_settings, save_model


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_model_is_drawn_inspected_branched_and_completed(name, qtbot, window, studio, tmp_path, random_model):
    spec = ImageSpec(3, 4, 5, 4)
    model = random_model(name, spec, 2, **preset_settings(name, "small"))
    save_model(tmp_path / f"{name}.safetensors", model, ("cat", "dog"))
    studio.open_model(tmp_path / f"{name}.safetensors")
    qtbot.waitUntil(lambda: studio.model is not None and studio.model.spec == spec, timeout=20_000)

    studio.set(count=2)
    studio.set_speed(float("inf"))
    studio.generate()
    qtbot.waitUntil(lambda: studio.trace is not None and studio.trace.complete and not studio.playing, timeout=30_000)
    first = studio.trace.values.copy()
    assert studio.trace.spec == spec

    studio.select(studio.trace.site(31))
    window.inspector.refresh()
    qtbot.waitUntil(lambda: window.inspector.plot.pmf() is not None, timeout=10_000)
    assert window.inspector.plot.pmf().sum() == pytest.approx(1, abs=1e-5)
    assert np.allclose(window.inspector.plot.pmf(), studio.trace.pmfs[0, 31], atol=1e-5), "reals are read again, in float64"
    qtbot.mouseClick(window.inspector.overlays.button("sees"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "past" in window.inspector.legend.text(), timeout=20_000)

    value = int((first[0, 20] + 1) % 4)
    studio.branch(20, value)
    qtbot.waitUntil(lambda: studio.trace.complete and not studio.drawing, timeout=30_000)
    assert studio.trace.values[0, 20] == value
    assert np.array_equal(studio.trace.values[0, :20], first[0, :20])

    window.show_complete()
    panel = window.complete
    panel.new.source.take_from_drawing()
    panel.hide_part("bottom")
    panel.page.count.setCurrentText("4")
    qtbot.mouseClick(panel.complete_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: panel.result is not None and not panel.running, timeout=30_000)
    images = panel.result.trace.images()
    assert len(images) == 4
    assert (images[:, :, :2] == images[0, :, :2]).all()
    assert (images >= 0).all()

    panel.hide_part("clear")
    panel.hide_part("top")
    known = panel.canvas.sheet.content[:, 2:]
    qtbot.mouseClick(panel.complete_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not panel.running, timeout=60_000)
    found = panel.result.found
    assert found.method == ("exact" if studio.model.any_order else "particles")
    assert found.finished
    assert (panel.result.images[:, :, 2:] == known).all()
