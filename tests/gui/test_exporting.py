"""Export from the dialog, and back: every kind of file, the clipboard, the snippet, and pictures dropped to be drawn again."""

import csv
import io

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import QDropEvent, QGuiApplication

from arstudio.gui.export_dialog import ExportDialog
from arstudio.sampling.export import read_info


@pytest.fixture
def dialog(qtbot, window, drawn, tmp_path, monkeypatch):
    """The dialog, which writes to out.SUFFIX without asking."""
    monkeypatch.setattr(window.files, "ask", lambda _title, name, _kind: tmp_path / f"out.{name.rpartition('.')[2]}")
    window.files.export()
    return window.findChild(ExportDialog)


def choose(qtbot, dialog, kind):
    qtbot.mouseClick(dialog.kind.button(kind), Qt.MouseButton.LeftButton)


def save(qtbot, dialog):
    with qtbot.waitSignal(dialog.studio.message, timeout=20_000) as said:
        qtbot.mouseClick(dialog.save, Qt.MouseButton.LeftButton)
    assert said.args[0] == "info", said.args[1]


def drop(window, path):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    window.dropEvent(QDropEvent(
        window.rect().center(), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    ))


def wait_drawn(qtbot, studio, before):
    def done():
        busy = studio.drawing or studio.loading or studio.trace is before
        return not busy and studio.trace.complete

    qtbot.waitUntil(done, timeout=20_000)


@pytest.mark.parametrize("scale", [1, 5])
def test_png_at_any_size_reads_back_exactly(qtbot, dialog, drawn, tmp_path, scale):
    from arstudio.image import from_pil

    dialog.scale.setValue(scale)
    save(qtbot, dialog)
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (8 * scale, 8 * scale)
        small = picture.resize((8, 8), Image.Resampling.NEAREST)
        assert np.array_equal(from_pil(small, drawn.trace.spec), drawn.trace.image(0))
    assert read_info(tmp_path / "out.png")["settings"]["seed"] == 42


def test_all_images_on_one_sheet(qtbot, dialog, drawn, tmp_path):
    qtbot.mouseClick(dialog.images.button("all"), Qt.MouseButton.LeftButton)
    dialog.scale.setValue(4)
    save(qtbot, dialog)
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (2 * 32 + 3, 2 * 32 + 3)


@pytest.mark.parametrize("kind", ["gif", "apng"])
def test_animations_have_the_frames_rate_and_loop_asked_for(qtbot, dialog, drawn, tmp_path, kind):
    choose(qtbot, dialog, kind)
    dialog.frames.setValue(8)
    dialog.fps.setValue(10)
    qtbot.mouseClick(dialog.images.button("all"), Qt.MouseButton.LeftButton)
    dialog.loop.setChecked(kind == "gif")
    save(qtbot, dialog)
    path = tmp_path / ("out.gif" if kind == "gif" else "out.png")
    with Image.open(path) as picture:
        assert picture.n_frames == 9
        assert picture.info["duration"] == 100
        assert picture.info.get("loop") == (0 if kind == "gif" else 1)
        picture.seek(8)
        last = np.asarray(picture.convert("L"))
    assert last.std() > 20, "the last frame shows the images"
    if kind == "apng":
        assert read_info(path)["recipe"]["settings"]["seed"] == 42


def test_csv_holds_every_site_of_the_large_image_or_of_all(qtbot, dialog, drawn, tmp_path):
    choose(qtbot, dialog, "csv")
    save(qtbot, dialog)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert [int(row["value"]) for row in rows] == drawn.trace.values[0].tolist()
    assert sum(float(row["log_prob_nats"]) for row in rows) == pytest.approx(-drawn.trace.nats(0))


def test_the_picture_and_the_code_are_copied(qtbot, dialog, drawn):
    qtbot.mouseClick(dialog.copy, Qt.MouseButton.LeftButton)
    image = QGuiApplication.clipboard().image()
    assert (image.width(), image.height()) == (64, 64)
    choose(qtbot, dialog, "python")
    qtbot.mouseClick(dialog.copy, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == dialog.code.toPlainText()


@pytest.fixture
def branched(qtbot, window, studio):
    """A bundled model's drawing with a changed pixel and other noise later, from settings that are not the usual ones."""
    studio.open_model("digits-gated")
    qtbot.waitUntil(lambda: not studio.loading, timeout=20_000)
    studio.set(class_index=3, count=2, seed=9, temperature=0.8, top_k=9, guidance=1.0)
    studio.set_speed(float("inf"))
    studio.generate()
    wait_drawn(qtbot, studio, None)
    for step, value in ((20, 12), (40, None)):
        before = studio.trace
        studio.branch(step, value)
        wait_drawn(qtbot, studio, before)
    studio.select_image(1)
    return studio


def test_the_snippet_gives_the_same_pixels(qtbot, window, branched):
    window.actions_by_slot["copy_snippet"].trigger()
    names = {}
    exec(QGuiApplication.clipboard().text(), names)
    assert np.array_equal(names["x"], branched.trace.image(1))


def test_a_dropped_export_restores_model_seed_settings_and_edits(qtbot, window, branched, tmp_path):
    path, expected, settings = tmp_path / "mine.png", branched.trace.values.copy(), branched.settings
    with qtbot.waitSignal(window.files.beside.written, timeout=10_000):
        window.files.write_picture(path)
    branched.open_model("digits-nade")
    qtbot.waitUntil(lambda: not branched.loading, timeout=20_000)
    branched.set(seed=1, temperature=1.0, count=1)
    branched.compare(True)
    qtbot.waitUntil(lambda: branched.comparison.ready and not branched.drawing, timeout=20_000)
    before = branched.trace
    drop(window, path)
    wait_drawn(qtbot, branched, before)
    assert branched.comparison is None
    assert branched.card.name == "digits-gated"
    assert branched.settings == settings
    assert np.array_equal(branched.trace.values, expected)
    assert window.toolbar.seed.text() == "9"
    assert window.job == "generate"


def test_a_picture_of_a_model_that_is_gone_gives_a_sentence(qtbot, window, branched, tmp_path):
    from arstudio.gui.exporting import info, picture_bytes

    told = info(branched) | {"model": "my-lost-model", "path": str(tmp_path / "lost.safetensors")}
    (tmp_path / "lost.png").write_bytes(picture_bytes(branched.trace, 0, 64, told))
    shown = branched.trace
    drop(window, tmp_path / "lost.png")
    qtbot.waitUntil(lambda: "my-lost-model" in window.notice.text.text(), timeout=10_000)
    assert branched.trace is shown


def test_a_picture_with_damaged_settings_gives_a_sentence(qtbot, window, drawn, tmp_path):
    from arstudio.gui.exporting import info, picture_bytes

    told = info(drawn)
    told["recipe"]["settings"]["temperature"] = -3
    (tmp_path / "bad.png").write_bytes(picture_bytes(drawn.trace, 0, 64, told))
    drop(window, tmp_path / "bad.png")
    assert "damaged" in window.notice.text.text()
