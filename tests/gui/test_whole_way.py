"""From a folder dropped on the window to one pixel of the model that was trained on it, as a person goes it."""

import numpy as np
import pytest
from hands import WAIT, choose, click
from PIL import Image
from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import QDropEvent

pytestmark = pytest.mark.usefixtures("one_thread")


def test_from_a_dropped_folder_to_a_pixel_of_the_trained_model(qtbot, window, studio, tmp_path):
    folder, rng = tmp_path / "stripes", np.random.default_rng(0)
    folder.mkdir()
    for i in range(60):    # upright stripes, bright and dark in turns, with a little noise
        stripes = np.tile(np.arange(8) % 2, (8, 1)) * 220 + rng.integers(0, 20, (8, 8))
        Image.fromarray(stripes.astype(np.uint8)).save(folder / f"{i:02}.png")
    window.ask_before_closing = False
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(folder))])
    middle, copy = window.rect().center(), Qt.DropAction.CopyAction
    window.dropEvent(QDropEvent(middle, copy, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier))

    train = window.train
    page = train.images
    page.side.setValue(8)
    qtbot.waitUntil(lambda: page.data is not None and page.data.spec.width == 8 and not page.busy, timeout=WAIT)
    choose(page.levels, 4)
    qtbot.waitUntil(lambda: page.data.spec.levels == 4 and not page.busy, timeout=WAIT)
    click(qtbot, page.use)

    choose(train.choices.model, "nade")
    train.choices.choose_minutes(0.05)
    click(qtbot, train.choices.start)
    qtbot.waitUntil(lambda: not train.training, timeout=WAIT)
    assert train.session.status == "finished"
    best, uniform = train.session.live.best_nats, train.session.baselines["uniform"]
    assert best < uniform / 4, "it must have learned the stripes"

    studio.set(count=4, seed=1)
    studio.autoplay = True
    studio.set_speed(float("inf"))
    click(qtbot, train.side.live.use)
    qtbot.waitUntil(lambda: studio.card is not None and studio.card.facts.dataset == "stripes", timeout=WAIT)
    assert window.job == "generate"
    qtbot.waitUntil(lambda: studio.trace is not None and studio.trace.complete and not studio.drawing, timeout=WAIT)
    qtbot.waitUntil(lambda: not studio.playing, timeout=WAIT)

    view = window.generate_panel.view
    pmf = {}
    for column in (4, 5):
        where = view.rect_of(5, column).center().toPoint()
        qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=where)
        assert studio.selection == (0, 5, column)
        qtbot.waitUntil(lambda: window.inspector.plot.pmf() is not None, timeout=WAIT)
        pmf[column] = np.asarray(window.inspector.plot.pmf())
    assert pmf[4].argmax() == 0, "dark stripes"
    assert pmf[5].argmax() == 3, "bright stripes"
    assert min(pmf[4].max(), pmf[5].max()) > 0.8
