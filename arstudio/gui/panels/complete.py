"""The Complete panel: draw or open a picture, hide a part of it, let the model draw that part many times, and
choose.

The page, the run, the live sketch, the results, the shelf (`bottom`, in the bottom dock) and the figures (`side`, in the
Inspector) are cells of their own; this file joins them to each other and to the studio.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PySide6.QtCore import QEvent, Qt, Slot
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QUndoStack
from PySide6.QtWidgets import QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from arstudio.gui.panels.complete_live import LiveSketch
from arstudio.gui.panels.complete_new import NewPictures
from arstudio.gui.panels.complete_page import CompletePage
from arstudio.gui.panels.complete_results import CompletionResults
from arstudio.gui.panels.complete_run import CompletionRun
from arstudio.gui.panels.complete_shelf import CompletionShelf
from arstudio.gui.panels.complete_side import CompletionSide
from arstudio.gui.studio import Studio
from arstudio.gui.widgets.canvas import Canvas
from arstudio.gui.widgets.completions import Completions
from arstudio.gui.widgets.controls import EmptyState, retint
from arstudio.gui.widgets.fit_page import FitPage
from arstudio.gui.widgets.fitting import Incoming
from arstudio.gui.widgets.pictures import qimage_of
from arstudio.gui.widgets.sheet import grown


class CompletePanel(QWidget):
    """The page; `side` and `bottom` are its parts in the docks, `undo_stack` its history of edits."""

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self.setObjectName("stage")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAcceptDrops(True)
        self.studio = studio
        self._random = 0
        self.undo_stack = QUndoStack(self)
        self.undo_stack.setUndoLimit(300)
        self.canvas = Canvas(self.undo_stack)
        self.page = CompletePage(self.canvas, self)
        self.tools, self.agreement = self.page.tools, self.page.agreement
        self.caption, self.hide_bar = self.page.caption, self.page.hide_bar
        self.complete_button = self.page.go
        self.side = CompletionSide()
        self.bottom = CompletionShelf()
        self.gallery = self.bottom.gallery
        blank = self.page.menu.addAction(self.tr("Blank"))
        blank.setToolTip(self.tr("Everything hidden: what you draw becomes known"))
        blank.triggered.connect(self.new_blank)
        self.new = NewPictures(studio, self.page.menu, self)
        self.fitting = FitPage()
        self.run = CompletionRun(studio, self)
        self.live = LiveSketch(studio, self.canvas, self.run, self)
        self.results = CompletionResults(studio, self.page, self.bottom, self.side, self.run, self.live, self)
        self.empty = EmptyState(
            self.tr("Complete a picture"), self.tr("Hide a part of a picture and a model draws it.")
        )
        self._pages = QStackedWidget()
        self._pages.addWidget(self.empty)
        self._scrolled = QScrollArea()
        self._scrolled.setObjectName("plain")
        self._scrolled.setWidgetResizable(True)
        self._scrolled.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scrolled.setWidget(self.page)
        self._pages.addWidget(self._scrolled)
        self._pages.addWidget(self.fitting)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._pages)
        self.begin_at = self.canvas    # where the keyboard goes when the panel comes into sight
        self._connect()
        self.results.show_words()
        self._model_changed()

    def _connect(self) -> None:
        studio, page = self.studio, self.page
        studio.model_changed.connect(self._model_changed)
        studio.model_loading.connect(self._model_loading)
        studio.settings_changed.connect(self._chosen)
        self.new.source.ready.connect(self._place)
        self.new.source.offered.connect(self._offer)
        self.empty.acted.connect(self.new.source.open_first_model)
        self.fitting.taken.connect(self._take_fitted)
        self.fitting.dropped.connect(self._show_page)
        self.canvas.hovered.connect(self._caption)
        self.hide_bar.chosen.connect(self.hide_part)
        self.complete_button.clicked.connect(self._go_or_stop)
        self.side.more_wanted.connect(self._more_particles)
        page.live.toggled.connect(self.live.switch)
        page.method.currentIndexChanged.connect(self._chosen)
        page.as_class.toggled.connect(self._chosen)

    def set_tool(self, name: str) -> None:
        """Choose a tool: one of `gesture.TOOLS`."""
        self.tools.set_tool(name)

    def open_file(self, path: str | Path) -> None:
        """Put a picture file on the canvas, fitted as the person likes. Bad files change nothing."""
        self.new.open_file(path)

    def paste(self) -> None:
        """Put the clipboard's picture on the canvas."""
        self.new.paste()

    def copy(self) -> None:
        """Put what the canvas shows on the clipboard, eight times enlarged; hidden pixels are transparent."""
        if self.canvas.sheet is not None:
            QGuiApplication.clipboard().setImage(qimage_of(self.canvas.image(), self.canvas.spec))
            self.studio.message.emit("info", self.tr("The image is on the clipboard."))

    @property
    def result(self) -> Completions | None:
        """The last completions."""
        return self.results.last

    @property
    def running(self) -> bool:
        """True while completions are drawn."""
        return self.run.running

    @property
    def cramped(self) -> bool:
        """True where the page does not fit into the stage, so that it scrolls and its buttons may be out of sight."""
        return self._scrolled.verticalScrollBar().maximum() > 0

    def complete(self) -> None:
        """Draw completions of the canvas; a picture that is being fitted is taken first."""
        sheet = self.canvas.sheet
        if self.fitting.incoming is not None:
            self.fitting.accept()
            return
        if self.live.on:
            self.page.live.setChecked(False)
            self.run.abandon()
        if self.running:
            return
        if self.studio.model is None or sheet is None or self.canvas.spec != self.studio.card.spec:
            words = self.tr("Choose a model first: the Library on the left lists them.")
            self.studio.message.emit("info", words)
        elif not sheet.hidden.any():
            words = self.tr("Nothing is hidden: paint over a part of the picture, or choose one beside “Hide”.")
            self.studio.message.emit("info", words)
        else:
            self.results.follow = True
            self.run.start(sheet, self.page.plan())
            self.page.show_running(True)

    def cancel(self) -> None:
        """Leave a picture that is being fitted; stop drawing and keep what is there; go back from a preview to the canvas."""
        if self.fitting.incoming is not None:
            self.fitting.leave()
        elif self.live.on:
            self.page.live.setChecked(False)
        elif self.running:
            self.run.stop()
            self.page.show_stopping()
        else:
            self.canvas.leave_preview()

    @Slot()
    def _more_particles(self) -> None:
        self.page.choose_particles(self.page.more_particles(self.result.found))
        self.complete()

    @Slot()
    def _chosen(self) -> None:
        """Something that completions depend on, beside the canvas, may have been chosen anew."""
        self._offer_class()
        self.live.refresh()

    def _offer_class(self) -> None:
        studio, name = self.studio, ""
        index, card = studio.chosen_class(), studio.card
        if index is not None and card is not None and card.config.get("class_dropout") != 0 and not studio.guidance:
            name = card.class_names[index] if index < len(card.class_names) else ""
        self.page.offer_class(name)
        self.live.chosen = self.page.plan()

    @Slot()
    def _go_or_stop(self) -> None:
        if self.running and not self.live.on:
            self.cancel()
        else:
            self.complete()

    @Slot()
    def new_blank(self) -> None:
        """An empty canvas, all hidden: strokes become what is known."""
        if self.canvas.sheet is not None:
            spec = self.canvas.spec
            self.caption.words = self.tr("Blank: what you draw is known")
            self.canvas.change(self.tr("Blank"), np.zeros(spec.shape), np.ones((spec.height, spec.width)))
            self.set_tool("brush")

    @Slot(str)
    def hide_part(self, name: str) -> None:
        """Hide top, left, right, bottom, centre, blobs or a random half; invert, grow, shrink or clear what is hidden."""
        sheet = self.canvas.sheet
        if sheet is None:
            return
        if name == "invert":
            hidden = ~sheet.hidden
        elif name == "grow":
            hidden = grown(sheet.hidden)
        elif name == "shrink":
            hidden = ~grown(~sheet.hidden)
        elif name == "clear":
            hidden = np.zeros_like(sheet.hidden)
        else:
            from arstudio.sampling.completion import preset_mask

            self._random += 1
            preset = "random:0.5" if name == "random" else name
            hidden = preset_mask(preset, *sheet.hidden.shape, self._random)
        self.canvas.change(self.tr("Hide: {0}").format(self.hide_bar.names[name]), hidden=hidden)

    @Slot(str)
    def _model_loading(self, title: str) -> None:
        if self.studio.model is None:
            self.empty.show_state(self.tr("Opening {0}").format(title), self.tr("This takes a moment."))
            self._show_page()

    @Slot()
    def _model_changed(self) -> None:
        self._offer_class()
        card, sheet = self.studio.card, self.canvas.sheet
        if self.studio.model is None or card is None:
            self.empty.show_state(
                self.tr("Complete a picture"), self.tr("Hide a part of a picture and a model draws it."),
                self.tr("Open a model"),
            )
        elif sheet is not None and self.canvas.spec == card.spec:
            self.results.show_words()
            self.live.refresh()
        else:
            self.run.abandon()
            self.page.show_running(False)
            if sheet is not None and self.undo_stack.count():    # a picture nobody touched needs no words
                self.studio.message.emit("info", self.tr(
                    "The canvas in Complete held {0}; this model draws {1}, so it begins with a new picture."
                ).format(self.canvas.spec, card.spec))
            self.empty.show_state(self.tr("Taking a picture"), self.tr("A test image for this model is on its way."))
            if self.fitting.incoming is not None:
                self.fitting.offer(self.fitting.incoming, card.spec)
            self.new.source.take_from_dataset(first=True)
        self._show_page()

    @Slot()
    def _show_page(self) -> None:
        """The page that belongs to the state: nothing to draw with, a picture being fitted, or the canvas."""
        card = self.studio.card
        if self.studio.model is None or card is None:
            self._pages.setCurrentWidget(self.empty)
        elif self.fitting.incoming is not None:
            self._pages.setCurrentWidget(self.fitting)
        elif self.canvas.sheet is not None and self.canvas.spec == card.spec:
            self._pages.setCurrentWidget(self._scrolled)
        else:
            self._pages.setCurrentWidget(self.empty)

    @Slot(int, int)
    def _caption(self, row: int = -1, column: int = -1) -> None:
        self.caption.describe(self.canvas, row, column)

    @Slot(object)
    def _offer(self, incoming: Incoming) -> None:
        self.fitting.offer(incoming, self.studio.card.spec, self._ground_of_drawings())
        self._show_page()

    def _ground_of_drawings(self) -> float | None:
        """How bright the edge of what the model draws is, 0 to 1; None before it has drawn anything."""
        trace, card = self.studio.trace, self.studio.card
        if trace is None or not trace.complete or trace.spec != card.spec:
            return None
        images = trace.images()
        edge = [images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1]]
        return float(np.median(np.concatenate([part.ravel() for part in edge]))) / card.spec.top

    @Slot(object, object, str)
    def _take_fitted(self, content: np.ndarray, hidden: np.ndarray, name: str) -> None:
        self._place(content, hidden, name, "")

    @Slot(object, object, str, str)
    def _place(self, content: np.ndarray, hidden: np.ndarray | None, words: str, notice: str) -> None:
        """A picture arrived: content (C, H, W), what is hidden or None to keep the mask, caption, notice."""
        spec, sheet = self.studio.card.spec, self.canvas.sheet
        fresh = sheet is None or self.canvas.spec != spec
        self.caption.words = words
        if hidden is None:
            hidden = _lower_half(spec.height, spec.width) if fresh or sheet.hidden.all() else sheet.hidden
        if fresh:
            self.results.forget()
            self.canvas.begin(content, hidden, spec)
            self.set_tool("brush" if np.all(hidden) else self.canvas.tool)
            self.tools.refresh()
            self.page.easel.arrange()
        else:
            self.canvas.change(self.tr("New picture"), content, hidden)
        self._caption()
        self._show_page()
        if notice:
            self.studio.message.emit("info", notice)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Pictures may be dropped; other files are the window's."""
        if self.new.welcomes(event.mimeData()):
            event.acceptProposedAction()
        else:
            event.ignore()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        if self.new.accept(event.mimeData()):
            event.acceptProposedAction()

    def changeEvent(self, event: QEvent) -> None:
        """Icons follow the palette."""
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange) and hasattr(self, "tools"):
            retint(self)
        super().changeEvent(event)


def _lower_half(height: int, width: int) -> np.ndarray:
    hidden = np.zeros((height, width), dtype=bool)
    hidden[(height + 1) // 2:] = True
    return hidden
