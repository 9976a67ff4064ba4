"""The Inspector as a person uses it: every figure is the model's own, every map and every "what if" is asked of it."""

import copy
import math
import re

import numpy as np
import pytest
import torch
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication
from PySide6.QtWidgets import QApplication, QToolTip

from arstudio.gui.widgets.fold import Fold
from arstudio.image import ImageSpec, to_pil
from arstudio.models import create
from arstudio.models.checkpoint import card_of


@pytest.fixture
def ready(qtbot, window, drawn):
    window.resize(1280, 1000)
    window.inspector.refresh()
    yield window
    QToolTip.hideText()


def wait_drawn(qtbot, studio):
    qtbot.waitUntil(lambda: studio.trace.complete and not studio.drawing and not studio.playing, timeout=20_000)


def draw_with(qtbot, studio, model, count=1, class_index=-1):
    """Open a model with random weights and let it draw at full speed."""
    before = studio.trace
    studio.set(class_index=class_index, count=count)
    studio.use_model(model, card_of(model))
    studio.set_speed(math.inf)
    studio.generate()
    qtbot.waitUntil(lambda: studio.trace is not None and studio.trace is not before, timeout=10_000)
    wait_drawn(qtbot, studio)


def random(name, spec, classes=0, seed=0, **config):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = create(name, spec, classes, **config).eval()
        for p in model.parameters():
            p.data.normal_(std=0.4)
    return model


def click_pixel(qtbot, view, row, column):
    QApplication.processEvents()    # the picture may be about to move
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=view.rect_of(row, column).center().toPoint())


def choose(qtbot, inspector, key):
    qtbot.mouseClick(inspector.overlays.button(key), Qt.MouseButton.LeftButton)


def unfold(qtbot, fold):
    if not fold.is_open:
        qtbot.mouseClick(fold.header, Qt.MouseButton.LeftButton, pos=QPoint(20, 10))
    assert fold.is_open


def exact_pmfs(model, x, y):
    """(L, C, H, W) from a fresh float64 pass."""
    twin = copy.deepcopy(model).double()
    with torch.inference_mode():
        return twin.likelihood.log_pmf(twin(torch.from_numpy(x).long()[None], y)).exp()[0].numpy()


def number(text):
    return float(re.search(r"−?[\d.]+", text)[0].replace("−", "-"))


def test_the_distribution_shown_is_the_commands_and_a_fresh_float64_passs(qtbot, ready, studio, tmp_path):
    import json

    from typer.testing import CliRunner

    from arstudio.cli import app
    from arstudio.models import save_model

    click_pixel(qtbot, ready.generate_panel.view, 4, 3)
    x = studio.trace.image(0)
    save_model(tmp_path / "m.safetensors", studio.model, ("zero", "one", "two", "three"))
    to_pil(x, studio.trace.spec).save(tmp_path / "x.png")
    files = [str(tmp_path / name) for name in ("m.safetensors", "x.png")]
    said = CliRunner().invoke(app, ["inspect", *files, "--at", "4,3", "--json"])
    assert said.exit_code == 0, said.output
    said = json.loads(said.stdout)
    shown, figures = ready.inspector.plot.pmf(), ready.inspector.figures
    np.testing.assert_allclose(shown, said["pmf"], atol=1e-5)
    np.testing.assert_allclose(shown, exact_pmfs(studio.model, x, None)[:, 0, 4, 3], atol=1e-5)
    assert figures.text("value") == str(said["value"])
    assert figures.text("p") == f"{math.exp(said['log_prob_nats']):.4f} · rank {said['rank']}"
    assert number(figures.text("surprise")) == pytest.approx(said["surprise_bits"], abs=2e-3)
    assert number(figures.text("entropy")) == pytest.approx(said["entropy_bits"], abs=2e-3)
    assert figures.text("mean") == f"{said['mean']:.2f} ± {said['sd']:.2f}"
    unfold(qtbot, ready.inspector.fold_top)
    top = ready.inspector.top
    for k, row in enumerate(said["top"]):
        assert top._names[str(k)].text() == str(row["value"])
        assert top.text(str(k)).startswith(f"{row['p']:.4f}")


def test_the_running_sum_ends_at_the_log_likelihood_with_this_term_highlighted(qtbot, ready, studio):
    with torch.inference_mode():
        sites = studio.model.double().log_prob_sites(torch.from_numpy(studio.trace.image(0)).long()[None])[0]
    studio.model.float()
    for row, column in [(0, 0), (3, 6), (7, 7)]:
        click_pixel(qtbot, ready.generate_panel.view, row, column)
        step, text = studio.trace.step(0, row, column), ready.inspector.sum.text().replace("\u00a0", " ")
        terms = sites.flatten()[: step + 1]
        assert f"= {float(terms.sum()):.2f} nats".replace("-", "−") in text
        highlighted = re.search(r"<b[^>]*>(.*)</b>", text)[1]
        assert number(highlighted.replace(" ", "")) == pytest.approx(float(terms[-1]), abs=1.1e-3)
    assert f"log p(x) = {float(sites.sum()):.2f} nats in all".replace("-", "−") in text


def test_rgb_has_one_plot_for_each_channel_each_given_those_before(qtbot, window, studio):
    model = random("pixelcnn", ImageSpec(3, 5, 4, 4), channels=12, blocks=1, head=12)
    draw_with(qtbot, studio, model)
    click_pixel(qtbot, window.generate_panel.view, 2, 1)
    inspector, x = window.inspector, studio.trace.image(0)
    exact = exact_pmfs(model, x, None)
    grey, *rgb = inspector.plots
    assert not grey.isVisible()
    assert all(plot.isVisible() for plot in rgb)
    for channel, plot in enumerate(rgb):
        np.testing.assert_allclose(plot.pmf(), exact[:, channel, 2, 1], atol=1e-5)
        assert plot._value == x[channel, 2, 1]
    tops = [plot.mapTo(inspector, QPoint(0, 0)).y() for plot in rgb]
    assert tops == sorted(tops)
    qtbot.mouseClick(inspector.channels.button("2"), Qt.MouseButton.LeftButton)
    assert inspector.figures.text("value") == str(x[2, 2, 1])
    assert [plot.chosen for plot in rgb] == [False, False, True]
    step, before = studio.trace.step(1, 2, 1), studio.trace.values[0].copy()
    wanted = int((x[1, 2, 1] + 1) % 4)
    qtbot.mouseClick(rgb[1], Qt.MouseButton.LeftButton, pos=rgb[1].bar_centre(wanted).toPoint())
    wait_drawn(qtbot, studio)
    assert studio.trace.values[0, step] == wanted
    assert np.array_equal(studio.trace.values[0, :step], before[:step])


def test_a_mixture_over_levels_is_a_curve_with_its_components(qtbot, window, studio):
    spec = ImageSpec(1, 5, 4, 64)
    model = random("gated_pixelcnn", spec, channels=8, dilations=(1,), head=8, likelihood="logistic", components=3)
    draw_with(qtbot, studio, model)
    click_pixel(qtbot, window.generate_panel.view, 3, 2)
    plot = window.inspector.plot
    qtbot.waitUntil(lambda: plot._components is not None, timeout=10_000)
    np.testing.assert_allclose(plot._components.sum(0), plot.pmf(), atol=1e-6)
    assert len(plot._components) == 3
    with_curve = plot.grab().toImage()
    plot.show_distribution(plot.pmf(), plot._value)
    assert plot.grab().toImage() != with_curve


@pytest.mark.parametrize("key", ["argmax", "expectation", "error"])
def test_maps_of_what_was_expected(qtbot, ready, studio, key):
    from arstudio.analysis.readings import read

    choose(qtbot, ready.inspector, key)
    x, spec = studio.trace.image(0), studio.trace.spec
    maps = read(copy.deepcopy(studio.model).double(), x).maps()
    shown = ready.generate_panel.view._overlay
    if key == "error":
        np.testing.assert_allclose(shown, maps.error[0], atol=1e-3)
        assert ready.inspector.scale.ends == ("0", "≥ 8 levels")
    else:
        expected = np.round(getattr(maps, key)[0] / spec.top * 255)
        assert shown.shape == (8, 8, 3)
        assert np.abs(shown[..., 0].astype(int) - expected).max() <= 1
    studio.seek(20)
    later = ready.generate_panel.view._overlay
    assert not np.array_equal(later, shown, equal_nan=key == "error")
    choose(qtbot, ready.inspector, "none")
    assert ready.generate_panel.view._overlay is None


def test_maps_are_computed_where_the_trace_kept_no_distributions(qtbot, ready, studio):
    choose(qtbot, ready.inspector, "error")
    kept = ready.generate_panel.view._overlay.copy()
    choose(qtbot, ready.inspector, "none")
    studio.trace.pmfs = studio.trace.pmfs[:0]
    choose(qtbot, ready.inspector, "error")
    qtbot.waitUntil(lambda: ready.generate_panel.view._overlay is not None, timeout=10_000)
    np.testing.assert_allclose(ready.generate_panel.view._overlay, kept, atol=1e-3)


def test_the_blind_spot_of_pixelcnn_is_tinted_and_counted(qtbot, window, studio):
    plain = random("pixelcnn", ImageSpec(1, 7, 8, 2), channels=8, blocks=3, head=8, first_kernel=3)
    draw_with(qtbot, studio, plain)
    click_pixel(qtbot, window.generate_panel.view, 5, 2)
    choose(qtbot, window.inspector, "sees")
    view, legend = window.generate_panel.view, window.inspector.legend
    qtbot.waitUntil(lambda: view._overlay is not None, timeout=10_000)
    row, column = np.mgrid[:7, :8]
    blind = (row < 5) & (column - 2 > 5 - row)
    assert view._blind[blind].all()
    assert not view._blind[(row > 5) | ((row == 5) & (column >= 2))].any()
    assert np.isnan(view._overlay[blind]).all()
    assert f"can see {42 - int(view._blind.sum())} of 42 past pixels" in legend.text()
    gated = random("gated_pixelcnn", ImageSpec(1, 7, 8, 2), channels=8, dilations=(1,) * 5, head=8)
    draw_with(qtbot, studio, gated)
    qtbot.waitUntil(lambda: "can see 42 of 42" in legend.text(), timeout=10_000)
    assert view._blind is None


def test_row_lstm_sees_a_triangle(qtbot, window, studio):
    kernels = {"first_kernel": 3, "input_kernel": 1, "state_kernel": 3}
    model = random("row_lstm", ImageSpec(1, 7, 8, 2), hidden=6, layers=1, head=8, **kernels)
    draw_with(qtbot, studio, model)
    click_pixel(qtbot, window.generate_panel.view, 6, 4)
    choose(qtbot, window.inspector, "sees")
    view = window.generate_panel.view
    qtbot.waitUntil(lambda: view._overlay is not None, timeout=10_000)
    row, column = np.mgrid[:7, :8]
    up = 6 - row    # rows above; the first layer reaches one pixel to the left and one row up with its neighbours
    triangle = (up > 0) & (column >= 3 - up) & (column <= 4 + up)
    triangle[6, 3] = True
    past = (row < 6) | (column < 4)
    assert np.array_equal(view._blind, past & ~triangle)
    assert np.array_equal(~np.isnan(view._overlay), triangle)
    assert f"can see {int(triangle.sum())} of 52 past pixels" in window.inspector.legend.text()


def test_depends_shows_the_gradient_then_the_exact_bits(qtbot, ready, studio):
    from arstudio.analysis.depends import depends, depends_gradient

    click_pixel(qtbot, ready.generate_panel.view, 3, 4)
    choose(qtbot, ready.inspector, "depends")
    view, inspector, x = ready.generate_panel.view, ready.inspector, studio.trace.image(0, 28)
    qtbot.waitUntil(lambda: inspector.maps._shown_for is not None, timeout=20_000)
    exact = depends(studio.model, x, (0, 3, 4), -1)[0]
    past = studio.trace.order.rank < 28
    np.testing.assert_allclose(view._overlay[past], exact[past], atol=1e-5)
    assert np.isnan(view._overlay[~past]).all()
    row, column = np.unravel_index(exact.argmax(), exact.shape)
    assert f"pixel ({row}, {column}) would move" in inspector.legend.text()
    qtbot.mouseClick(inspector.maps.way.button("gradient"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: inspector.maps._shown_for is not None, timeout=20_000)
    quick = depends_gradient(studio.model, x, (0, 3, 4), -1)[0]
    np.testing.assert_allclose(view._overlay[past], quick[past], rtol=1e-4, atol=1e-6)
    assert "By the gradient" in inspector.legend.text()


def test_a_new_question_replaces_the_one_being_worked_on(qtbot, ready, studio):
    click_pixel(qtbot, ready.generate_panel.view, 7, 7)
    choose(qtbot, ready.inspector, "depends")
    qtbot.waitUntil(lambda: ready.inspector.maps._asked is not None, timeout=10_000)
    click_pixel(qtbot, ready.generate_panel.view, 1, 0)
    qtbot.waitUntil(lambda: ready.inspector.maps._shown_for is not None, timeout=20_000)
    assert (~np.isnan(ready.generate_panel.view._overlay)).sum() == 8, "the past of (1, 0) is one row"
    choose(qtbot, ready.inspector, "surprise")
    assert np.allclose(ready.generate_panel.view._overlay, studio.trace.map("surprise", 0)[0])


def test_attention_is_offered_where_there_is_some(qtbot, ready, studio):
    from arstudio.analysis.attention import attention_maps

    inspector, view = ready.inspector, ready.generate_panel.view
    assert not inspector.overlays.button("attention").isVisible()
    model = random("pixelsnail", ImageSpec(1, 5, 6, 3), channels=8, blocks=2, residuals=1, heads=2, key=4)
    draw_with(qtbot, studio, model)
    assert inspector.overlays.button("attention").isVisible()
    click_pixel(qtbot, view, 3, 3)
    choose(qtbot, inspector, "attention")
    qtbot.waitUntil(lambda: inspector.maps._shown_for is not None, timeout=10_000)
    heads = attention_maps(model, studio.trace.image(0, 21), (0, 3, 3))
    mean = np.mean([head.weights for head in heads], axis=0)
    np.testing.assert_allclose(np.nan_to_num(view._overlay), mean, atol=1e-6)
    assert inspector.maps.head.count() == 5
    inspector.maps.head.setCurrentIndex(3)
    np.testing.assert_allclose(np.nan_to_num(view._overlay), heads[2].weights, atol=1e-6)
    assert "of the attention" in inspector.legend.text()


def test_what_if_moves_the_distribution_and_not_the_drawing(qtbot, ready, studio):
    inspector, view = ready.inspector, ready.generate_panel.view
    click_pixel(qtbot, view, 4, 3)
    unfold(qtbot, inspector.fold_past)
    past, x, values = inspector.past, studio.trace.image(0), studio.trace.values.copy()
    step = studio.trace.step(0, 4, 3)
    shown = past.view.image()
    assert (shown[studio.trace.order.rank[None] < step] == x[studio.trace.order.rank[None] < step]).all()
    assert (shown[studio.trace.order.rank[None] >= step] == -1).all()
    qtbot.mouseClick(past.view, Qt.MouseButton.LeftButton, pos=past.pixel_point(4, 2))
    own = inspector.plot.pmf().copy()
    wanted = int((x[0, 4, 2] + 8) % 17)
    past.slider.setFocus()
    past.slider.setValue(wanted)
    qtbot.waitUntil(lambda: inspector.plot.ghost() is not None, timeout=10_000)
    other = x.copy()
    other[0, 4, 2] = wanted
    expected = exact_pmfs(studio.model, other, None)[:, 0, 4, 3]
    np.testing.assert_allclose(inspector.plot.pmf(), expected, atol=1e-5)
    np.testing.assert_allclose(inspector.plot.ghost(), own, atol=1e-6)
    bits = float((own * np.log2(own / expected)).sum())
    assert f"moves by {bits:.3f} bits" in past.words.text()
    assert f"← {wanted}" in inspector.formula.text()
    assert np.array_equal(studio.trace.values, values)
    qtbot.mouseClick(past.back, Qt.MouseButton.LeftButton)
    assert inspector.plot.ghost() is None
    np.testing.assert_allclose(inspector.plot.pmf(), own)
    qtbot.mouseClick(past.view, Qt.MouseButton.LeftButton, pos=past.pixel_point(6, 6))
    assert past.pixel == (4, 2)
    assert "came before" in past.words.text()


def test_another_moment_forgets_the_supposed_value(qtbot, ready, studio):
    inspector = ready.inspector
    click_pixel(qtbot, ready.generate_panel.view, 4, 3)
    unfold(qtbot, inspector.fold_past)
    qtbot.mouseClick(inspector.past.view, Qt.MouseButton.LeftButton, pos=inspector.past.pixel_point(1, 1))
    inspector.past.slider.setValue((inspector.past.slider.value() + 5) % 17)
    qtbot.waitUntil(lambda: inspector.plot.ghost() is not None, timeout=10_000)
    click_pixel(qtbot, ready.generate_panel.view, 6, 0)
    assert inspector.plot.ghost() is None
    assert inspector.past.value is None
    np.testing.assert_array_equal(inspector.plot.pmf(), studio.trace.pmfs[0, 48])
    assert inspector.past.pixel == (1, 1), "the same pixel is at hand for another question"


def test_a_change_of_the_weights_is_never_answered_from_before(qtbot, ready, studio):
    studio.trace.pmfs = studio.trace.pmfs[:0]
    click_pixel(qtbot, ready.generate_panel.view, 5, 5)
    plot, x = ready.inspector.plot, studio.trace.image(0)
    qtbot.waitUntil(lambda: plot.pmf() is not None, timeout=10_000)
    before, weight = plot.pmf().copy(), next(studio.model.parameters())
    kept = weight.data.clone()
    try:
        weight.data += 0.3
        ready.inspector.refresh()
        qtbot.waitUntil(lambda: plot.pmf() is not None, timeout=10_000)
        np.testing.assert_allclose(plot.pmf(), exact_pmfs(studio.model, x, None)[:, 0, 5, 5], atol=1e-5)
        assert not np.allclose(plot.pmf(), before, atol=1e-4)
    finally:
        weight.data.copy_(kept)
    ready.inspector.refresh()
    np.testing.assert_allclose(plot.pmf(), before)


def test_an_unread_image_shows_the_clicked_site_before_it_is_read_as_a_whole(qtbot, ready, studio, monkeypatch):
    import threading

    from arstudio.analysis import readings

    model = random("gated_pixelcnn", ImageSpec(1, 9, 9, 8), channels=8, dilations=(1, 2), head=8)
    draw_with(qtbot, studio, model, count=2)
    gate, read, whole = threading.Event(), readings.read, []

    def held(*args):
        gate.wait(10)
        whole.append(read(*args))
        return whole[-1]

    monkeypatch.setattr(readings, "read", held)
    studio.trace.pmfs = studio.trace.pmfs[:0]
    studio.trace.values[0, 3] = (studio.trace.values[0, 3] + 1) % 8
    plot, expected = ready.inspector.plot, exact_pmfs(model, studio.trace.image(0), None)
    try:
        for place in ((5, 5), (2, 7), (8, 0)):
            click_pixel(qtbot, ready.generate_panel.view, *place)
            qtbot.waitUntil(lambda: plot.pmf() is not None, timeout=10_000)
            np.testing.assert_allclose(plot.pmf(), expected[:, 0, *place], atol=1e-5)
            assert not whole
    finally:
        gate.set()
    qtbot.waitUntil(lambda: len(whole) == 1, timeout=10_000)
    qtbot.waitUntil(lambda: not ready.inspector.reader._running[True], timeout=10_000)
    click_pixel(qtbot, ready.generate_panel.view, 1, 1)
    assert plot.pmf() is not None, "now everything is known at once"
    np.testing.assert_allclose(plot.pmf(), expected[:, 0, 1, 1], atol=1e-5)


def test_over_time_is_exact_for_any_order_and_says_why_not_otherwise(qtbot, ready, studio):
    from arstudio.analysis.development import development

    inspector = ready.inspector
    unfold(qtbot, inspector.fold_time)
    click_pixel(qtbot, ready.generate_panel.view, 3, 3)
    section = inspector.development
    qtbot.waitUntil(lambda: "learned one order" in section.words.text(), timeout=10_000)
    assert not section.course.isVisible()
    model = random("eonade", ImageSpec(1, 4, 4, 3), hidden=8, order="raster")
    draw_with(qtbot, studio, model)
    click_pixel(qtbot, ready.generate_panel.view, 2, 3)
    qtbot.waitUntil(lambda: len(section.course.known) == 12, timeout=10_000)
    found = development(model, studio.trace.image(0), (0, 2, 3))
    np.testing.assert_allclose(section.course.p, [math.exp(c.log_prob) for c in found.conditionals], atol=1e-6)
    assert section.course.p[-1] == pytest.approx(math.exp(studio.trace.log_probs[0, 11]), abs=1e-5)
    assert "bits" in section.words.text()
    section.course.grab()


def test_masks_and_kernels_of_a_layer(qtbot, ready, studio):
    from arstudio.analysis.kernels import kernels

    unfold(qtbot, ready.inspector.fold_layers)
    section, found = ready.inspector.layers, kernels(studio.model)
    assert section.layer.count() == len(found) > 2
    index = next(i for i, kernel in enumerate(found) if kernel.masked)
    section.layer.setCurrentIndex(index)
    assert section.view.kernel.name == found[index].name
    np.testing.assert_array_equal(section.view.kernel.allowed, found[index].allowed)
    section.view.grab()
    studio.use_model(random("nade", ImageSpec(1, 4, 4, 3), hidden=4), studio.card)
    assert "no convolutions" in section.words.text()
    assert not section.layer.isVisible()


def picture(tmp_path, width=31, height=23):
    from PIL import Image

    rng = np.random.default_rng(5)
    path = tmp_path / "photo.jpg"
    Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).resize((310, 230)).save(path)
    return path


def test_a_photograph_is_previewed_fitted_and_read(qtbot, ready, studio, tmp_path):
    from arstudio.image import load_levels

    inspector, path = ready.inspector, picture(tmp_path)
    unfold(qtbot, inspector.fold_picture)
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    inspector.dropEvent(QDropEvent(
        QPointF(5, 5), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    ))
    source = inspector.pictures.pictures
    qtbot.waitUntil(lambda: source.dialog is not None and source.dialog.isVisible(), timeout=10_000)
    assert "reduced to 8×8" in source.page.sentence.text()
    before = studio.trace
    qtbot.mouseClick(source.page.use, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: studio.trace is not before, timeout=10_000)
    assert not source.dialog.isVisible()
    x = load_levels(path, studio.model.spec, fit=True)
    np.testing.assert_array_equal(studio.trace.image(0), x)
    with torch.inference_mode():
        nats = -studio.model.log_prob(torch.from_numpy(x).long()[None]).item()
    assert studio.trace.nats(0) == pytest.approx(nats, abs=1e-3)
    click_pixel(qtbot, ready.generate_panel.view, 5, 5)
    np.testing.assert_allclose(inspector.plot.pmf(), exact_pmfs(studio.model, x, None)[:, 0, 5, 5], atol=1e-5)
    assert "photo.jpg" in inspector.pictures.words.text()


def test_a_preview_that_is_refused_changes_nothing(qtbot, ready, studio, tmp_path):
    source, before = ready.inspector.pictures.pictures, studio.trace
    source.source.read_file(picture(tmp_path))
    qtbot.waitUntil(lambda: source.dialog is not None and source.dialog.isVisible(), timeout=10_000)
    qtbot.mouseClick(source.page.drop, Qt.MouseButton.LeftButton)
    assert not source.dialog.isVisible()
    assert studio.trace is before


def test_a_picture_of_ours_is_pasted_as_it_is(qtbot, ready, studio):
    from arstudio.gui.widgets.pictures import qimage_of

    unfold(qtbot, ready.inspector.fold_picture)
    x = np.random.default_rng(1).integers(0, 17, (1, 8, 8)).astype(np.int16)
    QGuiApplication.clipboard().setImage(qimage_of(x, studio.model.spec))
    before = studio.trace
    qtbot.mouseClick(ready.inspector.pictures.clip, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: studio.trace is not before, timeout=10_000)
    np.testing.assert_array_equal(studio.trace.image(0), x)
    assert ready.inspector.pictures.pictures.dialog is None


def test_a_file_that_is_no_picture_is_one_sentence(qtbot, ready, studio, tmp_path):
    path, before = tmp_path / "notes.png", studio.trace
    path.write_text("not a picture")
    ready.inspector.pictures.pictures.source.read_file(path)
    qtbot.waitUntil(lambda: "notes.png" in ready.notice.text.text(), timeout=10_000)
    assert studio.trace is before


def test_an_image_of_the_dataset_is_read_with_its_class(qtbot, ready, studio):
    from arstudio.models import load_model

    studio.use_model(*load_model("digits-fvsbn"))
    unfold(qtbot, ready.inspector.fold_picture)
    before = studio.trace
    qtbot.mouseClick(ready.inspector.pictures.dataset, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: studio.trace is not before, timeout=20_000)
    y = int(studio.trace.classes[0])
    assert f"class {studio.card.class_name(y)}" in ready.inspector.pictures.words.text()
    x = torch.from_numpy(studio.trace.image(0)).long()[None]
    with torch.inference_mode():
        assert -studio.trace.nats(0) == pytest.approx(studio.model.log_prob(x, y).item(), abs=1e-3)


def test_a_section_that_is_opened_comes_into_sight(qtbot, ready):
    ready.resize(1024, 700)
    qtbot.waitUntil(lambda: ready.height() == 700)
    inspector = ready.inspector
    folds = inspector.area.widget().findChildren(Fold)
    last = max((fold for fold in folds if not fold.is_open and fold.isVisible()), key=lambda fold: fold.y())
    inspector.area.ensureWidgetVisible(last.header)
    qtbot.mouseClick(last.header, Qt.MouseButton.LeftButton)
    seen = inspector.area.viewport().rect()
    for part in (last.header, last.body):
        place = part.mapTo(inspector.area.viewport(), part.rect().center())
        assert seen.contains(place)


def test_sections_stay_as_the_person_left_them(qtbot, ready, studio):
    from arstudio.gui.panels.inspect import InspectPanel

    qtbot.mouseClick(ready.inspector.fold_past.header, Qt.MouseButton.LeftButton, pos=QPoint(20, 10))
    unfold(qtbot, ready.inspector.fold_top)
    again = InspectPanel(studio, ready.generate_panel)
    qtbot.addWidget(again)
    assert not again.fold_past.is_open
    assert again.fold_top.is_open


def test_the_timeline_moves_stage_and_inspector_together(qtbot, ready, studio):
    timeline = ready.generate_panel.bottom.timeline
    ready.generate_panel.bottom.refresh()
    qtbot.mouseClick(timeline, Qt.MouseButton.LeftButton, pos=QPoint(int(timeline.x_of(27)), 20))
    assert (ready.generate_panel.view.image() >= 0).sum() == 27
    assert ready.inspector.title.text().startswith("Pixel (3, 3)")
    np.testing.assert_array_equal(ready.inspector.plot.pmf(), studio.trace.pmfs[0, 27])
    assert (ready.inspector.past.view.image() >= 0).sum() == 27


def test_pointing_at_a_pixel_lights_its_bar_and_at_a_bar_its_pixels(qtbot, ready, studio):
    view, plot = ready.generate_panel.view, ready.inspector.plot
    qtbot.mouseMove(view, view.rect_of(2, 5).center().toPoint())
    qtbot.waitUntil(lambda: plot._hovered == int(studio.trace.image(0)[0, 2, 5]), timeout=2_000)
    level = int(studio.trace.image(0)[0, 2, 5])
    qtbot.mouseMove(plot, plot.bar_centre(level).toPoint())
    qtbot.waitUntil(lambda: view.marked_value == level, timeout=2_000)


def test_the_bar_of_the_drawn_value_keeps_its_colour_under_the_mouse(qtbot, ready, studio):
    from arstudio.gui import theme

    plot, trace = ready.inspector.plot, studio.trace
    step = int(trace.log_probs[0].argmax())    # a high bar
    studio.select(trace.site(step))
    value = int(trace.values[0, step])
    studio.point_at(trace.site(step)[1:])
    assert plot._hovered == value
    colour = plot.grab().toImage().pixelColor(plot.bar_centre(value).toPoint())
    wanted = theme.colour("selected")
    assert abs(colour.red() - wanted.red()) + abs(colour.blue() - wanted.blue()) < 60


def test_the_tooltip_of_a_pixel_says_what_the_map_says(qtbot, ready, studio):
    view = ready.generate_panel.view
    row, column = 3, 4
    assert view.tip(row, column) == f"row 3, column 4 · value {studio.trace.image(0)[0, row, column]}"
    qtbot.mouseClick(ready.inspector.overlays.button("surprise"), Qt.MouseButton.LeftButton)
    bits = studio.trace.map("surprise", 0)[0, row, column]
    assert view.tip(row, column).endswith(f" · {bits:.2f} bits")


def test_a_bar_pointed_at_is_forgotten_where_another_pixel_has_none_such(qtbot, ready, studio):
    plot = ready.inspector.plot
    qtbot.mouseMove(plot, plot.bar_centre(16).toPoint())
    qtbot.waitUntil(lambda: plot._hovered == 16, timeout=2_000)
    draw_with(qtbot, studio, random("nade", ImageSpec(1, 4, 4, 3), hidden=4))
    assert plot._hovered is None
    plot.highlight(9)
    assert plot._hovered is None
    plot.grab()
