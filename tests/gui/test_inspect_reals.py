"""A continuous model in the window: its density as a curve, its figures, values given by hand, completion."""

import math

import numpy as np
import pytest
import torch
from PySide6.QtCore import Qt

from arstudio.image import ImageSpec, is_hidden
from arstudio.models import create
from arstudio.models.checkpoint import card_of

SPEC = ImageSpec(1, 6, 5, 0)


@pytest.fixture
def reals(qtbot, window, studio):
    """The window after drawing two images with a small RNADE."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = create("rnade", SPEC, hidden=20, components=3).eval()
        for p in (model.W, model.V):
            p.data.normal_(std=0.3)
    studio.set(class_index=-1, count=2)
    studio.use_model(model, card_of(model))
    studio.set_speed(math.inf)
    studio.generate()
    qtbot.waitUntil(lambda: studio.trace is not None and studio.trace.spec == SPEC, timeout=10_000)
    qtbot.waitUntil(lambda: studio.trace.complete and not studio.drawing and not studio.playing, timeout=10_000)
    return window


def click_pixel(qtbot, view, row, column):
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=view.rect_of(row, column).center().toPoint())


def number(text):
    return float(text.split()[0].replace("−", "-"))


def test_the_inspector_shows_value_density_and_moments_of_the_mixture(qtbot, reals, studio):
    click_pixel(qtbot, reals.generate_panel.view, 3, 2)
    inspector, trace = reals.inspector, studio.trace
    step = trace.step(0, 3, 2)
    qtbot.waitUntil(lambda: inspector.plot._mixture is not None, timeout=10_000)
    figures = inspector.figures
    x = torch.from_numpy(trace.image(0))[None]
    with torch.inference_mode():
        params = studio.model.double()(x)[:, :, 0, 3, 2]
    studio.model.float()
    weights, means, sds = (part[0].numpy() for part in studio.model.likelihood.moments(params))
    value = trace.values[0, step]
    density = float((weights * np.exp(-0.5 * ((value - means) / sds) ** 2) / sds / math.sqrt(2 * math.pi)).sum())
    mean = float(weights @ means)
    assert number(figures.text("value")) == pytest.approx(value, abs=1e-4)
    assert number(figures.text("p")) == pytest.approx(density, rel=2e-3)
    assert number(figures.text("surprise")) == pytest.approx(-math.log2(density), abs=2e-3)
    assert number(figures.text("mean")) == pytest.approx(mean, abs=2e-3)
    sd = math.sqrt(float(weights @ (sds**2 + (means - mean) ** 2)))
    assert float(figures.text("mean").split("±")[1]) == pytest.approx(sd, abs=2e-3)
    assert figures._names["p"].text() == "Density"
    assert np.allclose(inspector.plot.pmf(), trace.pmfs[0, step], atol=1e-5)
    assert inspector.plot._mixture.densities(np.array([value])).sum() == pytest.approx(density, rel=2e-3)


def test_the_plot_of_a_density_is_a_curve_with_its_value_marked(qtbot, reals, studio):
    click_pixel(qtbot, reals.generate_panel.view, 1, 1)
    plot = reals.inspector.plot
    qtbot.waitUntil(lambda: plot._mixture is not None, timeout=10_000)
    with_curve = plot.grab().toImage()
    plot.show_real(True, None, None)
    assert plot.grab().toImage() != with_curve
    assert plot.level_at(plot.bar_centre(200)) == 200


def test_a_click_in_the_curve_gives_the_pixel_the_middle_of_the_bin(qtbot, reals, studio):
    click_pixel(qtbot, reals.generate_panel.view, 2, 2)
    step, before = studio.trace.step(0, 2, 2), studio.trace.values[0].copy()
    plot = reals.inspector.plot
    qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=plot.bar_centre(250).toPoint())
    qtbot.waitUntil(lambda: studio.trace.complete and not studio.drawing, timeout=10_000)
    assert studio.trace.values[0, step] == pytest.approx(250.5 / 256, abs=2 / 256)
    assert np.array_equal(studio.trace.values[0, :step], before[:step])


def test_a_real_typed_branches_too(qtbot, reals, studio):
    click_pixel(qtbot, reals.generate_panel.view, 1, 1)
    step, field = studio.trace.step(0, 1, 1), reals.inspector.value
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, field.locale().toString(0.25, "f", 3))
    qtbot.keyClick(field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: studio.trace.complete and not studio.drawing, timeout=10_000)
    assert studio.trace.values[0, step] == 0.25


def test_what_is_not_drawn_yet_is_nan_on_the_screen_and_negative_reals_are_shown(reals, studio):
    studio.seek(12)
    shown = reals.generate_panel.view.image()
    assert is_hidden(shown).sum() == SPEC.sites - 12
    studio.trace.values[0, 3] = -0.02
    reals.generate_panel.refresh()
    assert not is_hidden(reals.generate_panel.view.image()).reshape(-1)[:12].any()
    assert "-0.020" in reals.generate_panel.view.tip(0, 3)


@pytest.mark.parametrize("key", ["surprise", "entropy", "sees"])
def test_overlays_work_on_reals(qtbot, reals, studio, key):
    click_pixel(qtbot, reals.generate_panel.view, 3, 3)
    qtbot.mouseClick(reals.inspector.overlays.button(key), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: reals.generate_panel.view._overlay is not None, timeout=10_000)
    assert np.isfinite(reals.generate_panel.view._overlay).any()


def test_a_picture_of_reals_is_masked_and_completed(qtbot, reals, studio):
    studio.tab_requested.emit("complete")
    panel = reals.complete
    content, hidden = np.full(SPEC.shape, 0.3), np.zeros((6, 5), dtype=bool)
    hidden[3:] = True
    panel.canvas.begin(content, hidden, SPEC)
    assert is_hidden(panel.canvas.image()).sum() == 15
    panel.complete()
    qtbot.waitUntil(lambda: panel.result is not None and not panel.running, timeout=20_000)
    images = panel.result.images
    assert (images[:, :, :3] == 0.3).all()
    assert np.isfinite(images).all()
    assert len(np.unique(images[:, 0, 5, 4])) > 1
