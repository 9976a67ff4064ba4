"""What comes onto the canvas: blank, from the dataset, the drawing, the history, files, the clipboard, drops; how it is
fitted; and everything that can be wrong with it."""

import dataclasses

import numpy as np
import pytest
from hands import LEFT, click
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QImage
from PySide6.QtWidgets import QApplication

from arstudio.gui import theme
from arstudio.gui.widgets.fit_page import CropFrame
from arstudio.gui.widgets.fitting import Fit, Incoming
from arstudio.image import ImageSpec, from_pil, open_picture, to_pil


@pytest.fixture
def panel(complete_panel):
    return complete_panel


def fitting(qtbot, panel, path):
    """Open a file and wait for the page that fits it."""
    with qtbot.waitSignal(panel.new.source.offered, timeout=20_000):
        panel.open_file(path)
    assert panel.fitting.isVisible()
    return panel.fitting


def photo(path, size=(640, 480)):
    colours = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(colours).save(path)
    return path


def menu_action(panel, text):
    return next(action for action in panel.page.menu.actions() if action.text().startswith(text))


def test_blank_hides_everything_and_strokes_become_evidence(qtbot, panel):
    menu_action(panel, "Blank").trigger()
    assert panel.canvas.sheet.hidden.all()
    panel.canvas.use((2, 2), (2, 5))
    click(qtbot, panel.complete_button)
    qtbot.waitUntil(lambda: not panel.running, timeout=20_000)
    assert (panel.result.images[:, 0, 2, 2:6] == 16).all()


def test_new_from_the_dataset_keeps_the_mask_and_is_undoable(qtbot, panel):
    panel.hide_part("left")
    before = panel.canvas.sheet
    with qtbot.waitSignal(panel.canvas.edited, timeout=10_000):
        menu_action(panel, "From the dataset").trigger()
    assert np.array_equal(panel.canvas.sheet.hidden, before.hidden)
    assert not np.array_equal(panel.canvas.sheet.content, before.content)
    panel.undo_stack.undo()
    assert panel.canvas.sheet.same(before)


def test_new_from_the_drawing_hides_what_is_not_drawn_yet(qtbot, panel, studio, messages):
    menu_action(panel, "From the drawing").trigger()
    assert "no drawing yet" in messages[-1][1]
    studio.set(count=1)
    studio.generate()
    qtbot.waitUntil(lambda: studio.trace is not None and not studio.drawing, timeout=10_000)
    studio.seek(24)
    menu_action(panel, "From the drawing").trigger()
    assert panel.canvas.sheet.hidden[3:].all()
    assert not panel.canvas.sheet.hidden[:3].any()
    assert (panel.canvas.sheet.content[0, :3] == studio.trace.image(0)[0, :3]).all()


def test_new_from_the_history_lists_only_what_the_model_can_complete(qtbot, panel, studio, messages):
    menu = panel.new.history
    menu.aboutToShow.emit()
    assert not menu.actions()[0].isEnabled()
    studio.set(count=1)
    studio.generate()
    qtbot.waitUntil(lambda: bool(studio.history), timeout=10_000)
    card = dataclasses.replace(studio.card, spec=ImageSpec(1, 5, 5, 2))
    other = dataclasses.replace(studio.history[0], card=card, label="another size")
    studio.history.items.append(other)
    menu.aboutToShow.emit()
    assert [action.text() for action in menu.actions()] == [studio.history[0].label]
    panel.hide_part("left")
    menu.actions()[0].trigger()
    assert np.array_equal(panel.canvas.sheet.content, studio.history[0].image)
    assert panel.canvas.sheet.hidden[:, :4].all()
    assert studio.history[0].label in panel.caption.text()
    panel.new.source.take_from_history(other)
    assert "5×5" in messages[-1][1]
    studio.history.items.remove(other)


def test_a_photo_is_fitted_first_and_the_preview_is_what_the_model_gets(qtbot, panel, tmp_path, messages):
    before = panel.canvas.sheet
    page = fitting(qtbot, panel, photo(tmp_path / "photo.png"))
    assert page.sentence.text() == (
        "photo.png was 640×480 in colour: made grey, cropped to the middle, reduced to 8×8, brought to 17 levels."
    )
    expected = from_pil(open_picture(tmp_path / "photo.png"), panel.canvas.spec, fit=True)
    assert np.array_equal(page.view.image(), expected)
    assert panel.canvas.sheet.same(before)
    click(qtbot, page.use)
    assert not page.isVisible()
    assert np.array_equal(panel.canvas.sheet.content, expected)
    assert not panel.canvas.sheet.hidden.any()
    assert "photo.png" in panel.caption.text()
    panel.undo_stack.undo()
    assert panel.canvas.sheet.same(before)
    assert not messages


def test_a_picture_that_is_fitted_is_left_by_button_and_escape_and_taken_by_return(qtbot, panel, tmp_path):
    before = panel.canvas.sheet
    click(qtbot, fitting(qtbot, panel, photo(tmp_path / "photo.png")).drop)
    assert panel.page.isVisible()
    fitting(qtbot, panel, tmp_path / "photo.png")
    panel.cancel()
    assert panel.page.isVisible()
    assert panel.canvas.sheet.same(before)
    fitting(qtbot, panel, tmp_path / "photo.png")
    panel.complete()
    assert panel.page.isVisible()
    assert not panel.running
    assert panel.undo_stack.count() == 1


def test_the_frame_moves_and_shrinks_by_mouse_and_keys_and_stays_inside(qtbot, panel, tmp_path):
    content = np.zeros((40, 80), np.uint8)
    content[:, 40:] = np.arange(40, dtype=np.uint8)[:, None] * 6
    Image.fromarray(content).save(tmp_path / "wide.png")
    page = fitting(qtbot, panel, tmp_path / "wide.png")
    frame = page.frame
    assert frame.box == (20, 0, 60, 40)
    middle = frame.rect_of_box().center().toPoint()
    qtbot.mousePress(frame, LEFT, pos=middle)
    qtbot.mouseMove(frame, middle + QPoint(1000, 30))
    qtbot.mouseRelease(frame, LEFT)
    assert frame.box == (40, 0, 80, 40)
    assert np.array_equal(page.view.image()[0], content[:, 40:].reshape(8, 5, 8, 5).mean((1, 3)) * 17 // 256)
    assert "cropped, reduced" in page.sentence.text()
    frame.setFocus()
    for _ in range(40):
        qtbot.keyClick(frame, Qt.Key.Key_Plus)
    left, top, right, bottom = frame.box
    assert (right - left, bottom - top) == pytest.approx((8, 8))         # no smaller than the model's own pixels
    qtbot.keyClick(frame, Qt.Key.Key_Left)
    assert frame.box[0] == pytest.approx(left - 1)
    for _ in range(40):
        qtbot.keyClick(frame, Qt.Key.Key_Minus)
    assert frame.box[3] - frame.box[1] == pytest.approx(40)
    click(qtbot, page.use)
    assert panel.canvas.sheet.content.shape == (1, 8, 8)


def test_all_of_a_picture_gets_margins_and_paper_can_be_turned_round(qtbot, panel, tmp_path):
    paper = np.full((40, 80), 240, np.uint8)
    paper[10:30, 20:60] = 40
    Image.fromarray(paper).save(tmp_path / "paper.png")
    page = fitting(qtbot, panel, tmp_path / "paper.png")
    click(qtbot, page.crop.button("whole"))
    shown = page.view.image()[0]
    assert (shown[:2] == 240 * 17 // 256).all()
    assert (shown[3:5, 2:6] == 40 * 17 // 256).all()
    click(qtbot, page.invert)
    assert (page.view.image()[0, :2] == 15 * 17 // 256).all()
    assert (page.view.image()[0, 3:5, 2:6] == 215 * 17 // 256).all()
    click(qtbot, page.stretch)
    assert (page.view.image()[0, 3:5, 2:6] == 16).all()
    assert (
        "given margins, reduced to 8×8, stretched from black to white, light and dark exchanged" in page.sentence.text()
    )
    click(qtbot, page.use)
    assert (panel.canvas.sheet.content[0, 3:5, 2:6] == 16).all()


def test_what_is_transparent_is_hidden_or_black_as_the_person_likes(qtbot, panel, tmp_path):
    rgba = np.full((32, 32, 4), 255, np.uint8)
    rgba[:16, :, 3] = 0
    rgba[16:20, :, 3] = 200
    Image.fromarray(rgba).save(tmp_path / "clear.png")
    page = fitting(qtbot, panel, tmp_path / "clear.png")
    assert (page.view.image()[0, :4] == -1).all()
    assert "what is transparent hidden" in page.sentence.text()
    click(qtbot, page.hide_clear)
    assert (page.view.image()[0, :4] == 0).all()
    assert "laid on black" in page.sentence.text()
    click(qtbot, page.hide_clear)
    click(qtbot, page.use)
    assert panel.canvas.sheet.hidden[:4].all()
    assert not panel.canvas.sheet.hidden[4:].any()


def test_what_is_transparent_is_checked_in_the_picture_while_it_is_hidden(qtbot, panel, tmp_path):
    rgba = np.full((32, 32, 4), (255, 120, 0, 255), np.uint8)
    rgba[:16, :, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "clear.png")
    page = fitting(qtbot, panel, tmp_path / "clear.png")

    def seen():
        image = page.frame._compose()
        return {image.pixelColor(x, y).name() for x in range(32) for y in range(16)}, image.pixelColor(5, 20).name()

    assert seen() == ({theme.colours().check_a, theme.colours().check_b}, "#ff7800")
    click(qtbot, page.hide_clear)
    assert seen() == ({"#000000"}, "#ff7800")


@pytest.mark.parametrize(("paper", "drawn", "inverted"), [("white", 0, True), ("black", 0, False), ("black", 16, True)])
def test_a_drawing_on_the_opposite_ground_is_inverted_and_says_why(qtbot, panel, studio, tmp_path, paper, drawn, inverted):
    studio.set(count=1)
    studio.generate()
    qtbot.waitUntil(lambda: studio.trace is not None and studio.trace.complete and not studio.drawing, timeout=10_000)
    studio.trace.values[:] = drawn
    picture = Image.new("L", (64, 64), paper)
    picture.paste(128, (20, 20, 40, 40))
    picture.save(tmp_path / "seven.png")
    page = fitting(qtbot, panel, tmp_path / "seven.png")
    assert page.invert.isChecked() is inverted
    assert ("Inverted because this model draws on" in page.sentence.text()) is inverted
    assert (page.view.image()[0, 0] == drawn).all()
    if inverted:
        click(qtbot, page.invert)
        assert "Inverted" not in page.sentence.text()
        assert (page.view.image()[0, 0] == 16 - drawn).all()


def test_another_model_while_a_picture_is_fitted_keeps_the_picture(qtbot, panel, studio, tmp_path, other_model):
    page = fitting(qtbot, panel, photo(tmp_path / "photo.png"))
    studio.use_model(*other_model(ImageSpec(3, 6, 5, 4)))
    qtbot.waitUntil(lambda: panel.canvas.spec.channels == 3, timeout=10_000)
    assert page.isVisible()
    assert page.view.image().shape == (3, 6, 5)
    assert "made grey" not in page.sentence.text()
    click(qtbot, page.use)
    assert panel.canvas.sheet.content.shape == (3, 6, 5)


def test_a_picture_of_our_own_comes_back_level_by_level_in_silence(qtbot, panel, messages, tmp_path):
    content = np.arange(64).reshape(1, 8, 8) % 17
    for scale in (1, 8):
        to_pil(content, panel.canvas.spec, scale).save(tmp_path / "ours.png")
        panel.new_blank()
        with qtbot.waitSignal(panel.canvas.edited, timeout=10_000):
            panel.open_file(tmp_path / "ours.png")
        assert np.array_equal(panel.canvas.sheet.content, content)
    assert not messages
    assert panel.page.isVisible()


def test_every_colour_mode_is_shown_before_it_is_taken(qtbot, panel, tmp_path):
    grey = Image.fromarray((np.arange(256, dtype=np.uint8) % 251).reshape(16, 16))
    wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    said = {"LA": "transparency", "RGBA": "transparency", "I;16": "16 bits"}
    for mode in ("1", "LA", "P", "RGBA", "CMYK", "I;16", "YCbCr", "F"):
        picture = wide if mode == "I;16" else grey.convert(mode)
        if mode.endswith("A"):
            picture.putalpha(Image.fromarray(np.tile(np.arange(16, dtype=np.uint8) * 17, (16, 1))))
        path = tmp_path / ("odd.tif" if mode in ("CMYK", "F", "YCbCr") else "odd.png")
        picture.save(path)
        page = fitting(qtbot, panel, path)
        for words in ("16×16", said.get(mode, ""), "reduced to 8×8"):
            assert words in page.sentence.text(), mode
        shown = page.view.image()
        assert ((shown >= -1) & (shown < 17)).all(), mode
        click(qtbot, page.use)
        assert np.array_equal(panel.canvas.image(), shown), mode


def test_colours_of_cmyk_are_said_to_become_grey(qtbot, panel, tmp_path):
    Image.new("CMYK", (20, 20), (200, 30, 0, 0)).save(tmp_path / "print.tif")
    page = fitting(qtbot, panel, tmp_path / "print.tif")
    assert page.sentence.text().startswith("print.tif was 20×20 in CMYK colours: made grey")


def test_an_animation_gives_its_first_frame_and_says_so(qtbot, panel, tmp_path):
    frames = [Image.new("L", (24, 24), shade) for shade in (250, 120, 10)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    page = fitting(qtbot, panel, tmp_path / "moving.gif")
    assert "of 3 frames: the first frame taken" in page.sentence.text()
    assert (page.view.image() == 250 * 17 // 256).all()


def test_64_megapixels_open_and_more_are_refused_in_a_sentence(qtbot, panel, studio, messages, tmp_path):
    huge = np.zeros((8000, 8000), bool)
    huge[:, 4000:] = True
    Image.fromarray(huge).save(tmp_path / "huge.png")     # one bit a pixel: large, and quick to read
    page = fitting(qtbot, panel, tmp_path / "huge.png")
    assert "8000×8000" in page.sentence.text()
    assert max(page.incoming.picture.size) <= 2000
    assert (page.view.image()[0, :, :4] == 0).all()
    assert (page.view.image()[0, :, 4:] == 16).all()
    page.leave()
    Image.new("1", (8001, 8000)).save(tmp_path / "larger.png")
    with qtbot.waitSignal(studio.message, timeout=10_000):
        panel.open_file(tmp_path / "larger.png")
    assert messages[-1][0] == "error"
    assert "under 64 megapixels" in messages[-1][1]


def test_pictures_of_any_proportions_can_be_fitted(qtbot, panel, tmp_path):
    for size in ((1, 1), (1, 300), (300, 1), (7, 8)):
        page = fitting(qtbot, panel, photo(tmp_path / "odd.png", size))
        for key in ("whole", "part"):
            if page.crop.isEnabled():
                click(qtbot, page.crop.button(key))
            assert ((page.view.image() >= 0) & (page.view.image() < 17)).all(), size
        click(qtbot, page.use)
        assert panel.canvas.sheet.content.shape == (1, 8, 8)


def test_bad_files_are_said_in_a_sentence_and_change_nothing(qtbot, panel, messages, studio, tmp_path):
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    to_pil(np.zeros((1, 8, 8), int), panel.canvas.spec, 40).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:100])
    before = panel.canvas.sheet
    for path in (*(tmp_path / f"{name}.png" for name in ("cut", "text", "empty", "half", "none")), tmp_path):
        with qtbot.waitSignal(studio.message, timeout=10_000):
            panel.open_file(path)
        kind, sentence = messages[-1]
        assert kind == "error"
        assert path.name in sentence
        assert "Traceback" not in sentence
    assert panel.canvas.sheet.same(before)


def test_copy_and_paste_return_the_same_picture(qtbot, panel, messages):
    panel.hide_part("clear")
    before = panel.canvas.sheet
    panel.copy()
    assert QGuiApplication.clipboard().image().size().toTuple() == (64, 64)
    panel.new_blank()
    with qtbot.waitSignal(panel.canvas.edited, timeout=10_000):
        menu_action(panel, "Paste").trigger()
    assert panel.canvas.sheet.same(before)
    assert messages == [("info", "The image is on the clipboard.")]
    QGuiApplication.clipboard().clear()
    panel.paste()
    assert "no picture on the clipboard" in messages[-1][1]
    QGuiApplication.clipboard().setImage(QImage())
    panel.paste()
    assert len(messages) == 3


def test_hidden_pixels_survive_the_clipboard_and_a_screenshot_is_fitted(qtbot, panel):
    panel.hide_part("left")
    before = panel.canvas.sheet
    panel.copy()
    panel.hide_part("clear")
    with qtbot.waitSignal(panel.canvas.edited, timeout=10_000):
        panel.paste()
    assert np.array_equal(panel.canvas.image(), before.shown())
    screenshot = QImage(320, 200, QImage.Format.Format_RGB32)
    screenshot.fill(Qt.GlobalColor.darkGreen)
    QGuiApplication.clipboard().setImage(screenshot)
    with qtbot.waitSignal(panel.new.source.offered, timeout=10_000):
        panel.paste()
    assert panel.fitting.sentence.text().startswith("The pasted picture was 320×200 in colour: made grey")


def test_a_dropped_picture_opens_and_other_files_are_left_to_the_window(qtbot, panel, tmp_path):
    path = tmp_path / "drop.png"
    to_pil(np.full((1, 8, 8), 3), panel.canvas.spec).save(path)
    for name, welcome in (("drop.png", True), ("model.safetensors", False)):
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(tmp_path / name))])
        args = (Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier)
        enter = QDragEnterEvent(QPoint(5, 5), *args)
        QApplication.sendEvent(panel, enter)
        assert enter.isAccepted() == welcome
        if welcome:
            with qtbot.waitSignal(panel.canvas.edited, timeout=10_000):
                QApplication.sendEvent(panel, QDropEvent(QPoint(5, 5), *args))
            assert (panel.canvas.sheet.content == 3).all()


def test_of_several_dropped_files_the_first_is_opened_and_that_is_said(qtbot, panel, messages, tmp_path):
    data = QMimeData()
    for name, level in (("one.png", 3), ("two.png", 5)):
        to_pil(np.full((1, 8, 8), level), panel.canvas.spec).save(tmp_path / name)
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / name)) for name in ("one.png", "two.png")])
    args = (QPoint(5, 5), Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(panel, QDragEnterEvent(*args))
    with qtbot.waitSignal(panel.canvas.edited, timeout=10_000):
        QApplication.sendEvent(panel, QDropEvent(*args))
    assert (panel.canvas.sheet.content == 3).all()
    assert messages == [("info", "2 files, one canvas: one.png is opened.")]


def test_only_our_own_pictures_come_without_a_question():
    spec = ImageSpec(3, 6, 5, 4)
    ours = to_pil(np.random.default_rng(1).integers(0, 4, spec.shape), spec, 3)
    assert Incoming.of(ours, "ours").is_ours(spec)
    assert not Incoming.of(ours.resize((20, 18)), "another size").is_ours(spec)
    touched = ours.copy()
    touched.putpixel((0, 0), (1, 2, 3))
    assert not Incoming.of(touched, "touched").is_ours(spec)
    for fit in (Fit(), Fit(whole=True), Fit(invert=True), Fit(stretch=True), Fit(box=(1, 2, 11, 14))):
        levels = Incoming.of(touched, "x").levels(spec, fit)
        assert levels.shape == spec.shape
        assert levels.dtype == np.int16
        assert ((levels >= 0) & (levels < 4)).all()
    assert Incoming.of(touched, "x").levels(ImageSpec(1, 6, 5, 0), Fit()).dtype == np.float64


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([ImageSpec(1, 28, 28, 2), ImageSpec(1, 8, 8, 17), ImageSpec(3, 6, 5, 4), ImageSpec(1, 12, 11, 0)]),
    st.integers(1, 400), st.integers(1, 400), st.booleans(),
    st.lists(st.tuples(st.floats(-500, 500), st.floats(-500, 500), st.floats(0.1, 500)), max_size=4),
)
def test_any_size_and_any_frame_give_an_image_of_the_model(qapp, spec, width, height, whole, moves):
    incoming = Incoming.of(Image.new("RGB", (width, height), (200, 10, 90)), "x")
    assert from_pil(incoming.picture, spec, fit=True).shape == spec.shape
    frame = CropFrame()
    frame.show_picture(incoming, spec)
    for left, top, wide in moves:
        frame.move_to(left, top, wide)
        left, top, right, bottom = frame.box
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
    fit = Fit(box=frame.box if frame.moved_by_hand else None, whole=whole)
    levels = incoming.levels(spec, fit)
    assert levels.shape == spec.shape
    assert len(np.unique(levels[0])) == 1                  # a picture of one colour, margins included
    assert incoming.sentence(spec, fit).startswith(f"x was {width}×{height} in colour: ")
    frame.deleteLater()
