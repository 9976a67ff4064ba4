"""A seeded walk of what a person may do, in any order: no exception, no Qt warning, nothing left running.

Twenty seconds of it with the rest of the tests, ten minutes among the slow ones.
"""

import random
import threading
import time

import numpy as np
import pytest
import torch
from PySide6.QtCore import QPoint, Qt, QTimer, qInstallMessageHandler
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QToolTip

from arstudio.gui import tasks
from arstudio.image import ImageSpec
from arstudio.models import create
from arstudio.models.checkpoint import card_of

LEFT = Qt.MouseButton.LeftButton
KEYS = (
    Qt.Key.Key_Space, Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End, Qt.Key.Key_Escape, Qt.Key.Key_M,
)
OF_THE_PLATFORM = ("This plugin does not support raise()",)    # the offscreen one, of every tooltip


def models():
    """Kinds the Inspector treats differently: classes, colours, mixtures, any order, attention, reals."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        found = [
            create("gated_pixelcnn", ImageSpec(1, 8, 8, 17), 4, channels=8, dilations=(1, 2), head=16),
            create("pixelcnn", ImageSpec(3, 5, 4, 4), channels=12, blocks=1, head=12),
            create("gated_pixelcnn", ImageSpec(1, 5, 5, 64), channels=8, dilations=(1,), head=8, likelihood="logistic"),
            create("eonade", ImageSpec(1, 5, 6, 3), hidden=8),
            create("pixelsnail", ImageSpec(1, 5, 5, 3), channels=8, blocks=1, residuals=1, key=4),
            create("rnade", ImageSpec(1, 4, 5, 0), hidden=10, components=2),
        ]
        for model in found:
            model.eval()
            for p in model.parameters():
                p.data.normal_(std=0.3)
    return [(model, card_of(model, tuple("abcd")[:model.num_classes])) for model in found]


class Walker:
    """Takes one step after the other, each of which a person could take at that moment."""

    def __init__(self, window, seed):
        self.window, self.studio, self.pick = window, window.studio, random.Random(seed)
        self.models, self.taken = models(), []
        self.steps = [
            (self.click_pixel, 8), (self.click_bar, 3), (self.press_key, 6), (self.choose_map, 5), (self.option, 2),
            (self.fold, 3), (self.what_if, 5), (self.generate, 2), (self.new_seed, 1), (self.temperature, 2), (self.count, 1),
            (self.scrub, 4), (self.small_image, 3), (self.redraw, 1), (self.other_model, 2), (self.channel, 2), (self.tab, 1),
            (self.theme, 1), (self.resize, 1), (self.layer, 1), (self.paste, 1), (self.hover, 3), (self.speed, 2),
            (self.save_history, 1), (self.complete, 1), (self.type_value, 1), (self.class_, 1), (self.hide_dock, 1),
        ]

    def step(self):
        """One step, then a moment in which the window lives."""
        action = self.pick.choices([a for a, _ in self.steps], [w for _, w in self.steps])[0]
        self.taken.append(action.__name__)
        action()
        for widget in QApplication.topLevelWidgets():    # a dialog is answered with Esc
            if isinstance(widget, QDialog) and widget.isVisible():
                widget.reject()
        QTest.qWait(self.pick.choice((1, 5, 20, 60)))

    @property
    def inspector(self):
        return self.window.inspector

    def click(self, widget, point=None):
        if widget.isVisible() and widget.isEnabled():
            QTest.mouseClick(widget, LEFT, Qt.KeyboardModifier.NoModifier, point or widget.rect().center())

    def click_pixel(self):
        view = self.window.generate_panel.view
        if view.spec is not None and view.isVisible():
            row, column = self.pick.randrange(view.spec.height), self.pick.randrange(view.spec.width)
            self.click(view, view.rect_of(row, column).center().toPoint())

    def click_bar(self):
        plot = self.inspector.plot
        if plot.pmf() is not None and plot.isVisible():
            self.click(plot, plot.bar_centre(self.pick.randrange(len(plot.pmf()))).toPoint())

    def press_key(self):
        shift = Qt.KeyboardModifier.ShiftModifier if self.pick.random() < 0.3 else Qt.KeyboardModifier.NoModifier
        QTest.keyClick(self.window, self.pick.choice(KEYS), shift)

    def choose_map(self):
        self.click(self.pick.choice(list(self.inspector.overlays._buttons.values())))

    def option(self):
        maps = self.inspector.maps
        self.click(maps.way.button(self.pick.choice(("exact", "gradient"))))
        if maps.head.isVisible():
            maps.head.setCurrentIndex(self.pick.randrange(maps.head.count()))

    def fold(self):
        i = self.inspector
        folds = (i.fold_top, i.fold_past, i.fold_value, i.fold_time, i.fold_layers, i.fold_picture)
        self.click(self.pick.choice(folds).header, QPoint(20, 10))

    def what_if(self):
        past = self.inspector.past
        if past.isVisible() and past.view.spec is not None:
            spec = past.view.spec
            self.click(past.view, past.pixel_point(self.pick.randrange(spec.height), self.pick.randrange(spec.width)))
            if past.slider.isEnabled():
                past.slider.setValue(self.pick.randint(past.slider.minimum(), past.slider.maximum()))
            if self.pick.random() < 0.3:
                self.click(past.back)

    def generate(self):
        self.click(self.window.generate_panel.draw_button)

    def new_seed(self):
        self.click(self.window.toolbar.dice)

    def temperature(self):
        self.window.toolbar.temperature.setValue(self.pick.choice((0, 50, 100, 100, 100, 130)))

    def count(self):
        self.window.generate_panel.count.setCurrentIndex(self.pick.randrange(4))

    def scrub(self):
        timeline = self.window.generate_panel.bottom.timeline
        self.click(timeline, QPoint(self.pick.randrange(max(timeline.width(), 1)), 20))

    def small_image(self):
        if self.studio.trace is not None:
            self.studio.select_image(self.pick.randrange(self.studio.trace.count))

    def redraw(self):
        self.click(self.window.generate_panel.branch_button)

    def other_model(self):
        self.studio.use_model(*self.pick.choice(self.models))
        if self.pick.random() < 0.8:
            self.studio.generate()

    def channel(self):
        self.click(self.inspector.channels.button(self.pick.choice("012")))

    def tab(self):
        self.window.tabs.setCurrentIndex(self.pick.choice((0, 0, 0, 1, 2)))

    def theme(self):
        self.window.choose_theme(self.pick.choice(("dark", "light")))

    def resize(self):
        self.window.resize(*self.pick.choice(((1280, 800), (1024, 700), (1600, 1000))))

    def layer(self):
        layer = self.inspector.layers.layer
        if layer.isVisible() and layer.count():
            layer.setCurrentIndex(self.pick.randrange(layer.count()))

    def paste(self):
        from arstudio.gui.widgets.pictures import qimage_of

        spec = self.studio.model.spec
        rng = np.random.default_rng(self.pick.randrange(1000))
        x = rng.integers(0, spec.levels, spec.shape).astype(np.int16) if spec.levels else rng.random(spec.shape)
        QApplication.clipboard().setImage(qimage_of(x, spec))
        self.click(self.inspector.pictures.clip)

    def hover(self):
        view, plot = self.window.generate_panel.view, self.inspector.plot
        if view.isVisible():
            QTest.mouseMove(view, QPoint(self.pick.randrange(view.width()), self.pick.randrange(view.height())))
        if plot.isVisible():
            QTest.mouseMove(plot, QPoint(self.pick.randrange(plot.width()), self.pick.randrange(plot.height())))

    def speed(self):
        speed = self.window.toolbar.speed
        speed.setCurrentIndex(self.pick.randrange(speed.count()))

    def save_history(self):
        if self.studio.history:
            self.studio.recall(self.pick.choice(self.studio.history))

    def complete(self):
        panel = self.window.complete
        if panel is not None and panel.isVisible() and panel.canvas.image() is not None:
            panel.hide_part(self.pick.choice(("bottom", "left", "clear", "centre")))
            if self.pick.random() < 0.3:
                self.window.go()

    def type_value(self):
        field = self.inspector.value
        if field.isVisible() and field.isEnabled():
            field.setValue(self.pick.uniform(0, field.maximum()))

    def class_(self):
        classes = self.window.toolbar.classes
        if classes.isVisible() and classes.count():
            classes.setCurrentIndex(self.pick.randrange(classes.count()))

    def hide_dock(self):
        name = self.pick.choice(("library", "inspector", "timeline"))
        dock = self.window.docks.by_name[name]
        dock.setVisible(not dock.isVisible() or self.pick.random() < 0.5)


def walk(window, seconds, seed):
    """Walk so long, then come to rest; returns the names of the steps taken."""
    warnings, threads = [], set(threading.enumerate())
    before = qInstallMessageHandler(lambda kind, context, message: message in OF_THE_PLATFORM or warnings.append(message))
    walker = Walker(window, seed)
    try:
        walker.other_model()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            walker.step()
            assert not warnings, f"after {walker.taken[-3:]}: {warnings}"
        window.studio.pause()
        window.studio.stop_drawing()
        tasks.shut_down()
        QTest.qWait(200)
        assert not warnings
    finally:
        qInstallMessageHandler(before)
        QToolTip.hideText()
    assert not tasks.running()
    of_python = {t for t in threading.enumerate() if not isinstance(t, threading._DummyThread)}    # those are QThreads
    assert of_python <= threads
    ticking = [t for t in window.findChildren(QTimer) if t.isActive() and t.interval() < 1000]
    assert not ticking, f"timers that still tick: {[(t.parent(), t.interval()) for t in ticking]}"
    assert window.isVisible()
    return walker.taken


def test_twenty_seconds_of_anything(window):
    taken = walk(window, 20, seed=1)
    assert len(set(taken)) > 10


@pytest.mark.slow
def test_ten_minutes_of_anything(window):
    taken = walk(window, 600, seed=2)
    assert len(set(taken)) == 28
