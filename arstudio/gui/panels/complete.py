"""The Complete panel: draw or open a picture, hide a part of it, let the model draw that part many times, and choose.

Four cells live in widgets/: the canvas with its tools, the easel with the agreement map, the gallery (`bottom`, shown
in the bottom dock) and the figures (`side`, shown in the Inspector). This file joins them to the studio's model and to
the task that draws.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QMimeData, Qt, QTimer, Slot
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QImage, QUndoStack
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from arstudio.gui.studio import Studio
from arstudio.gui.tasks import Task, TaskProgress
from arstudio.gui.widgets.agreement import AgreementColumn
from arstudio.gui.widgets.canvas import Canvas
from arstudio.gui.widgets.completion_side import CompletionSide
from arstudio.gui.widgets.completions import Completions, collect, live_images
from arstudio.gui.widgets.controls import EmptyState, Field, Segmented, label, retint, section
from arstudio.gui.widgets.easel import Easel
from arstudio.gui.widgets.gallery import Gallery
from arstudio.gui.widgets.picture_source import PictureSource
from arstudio.gui.widgets.pictures import qimage_of
from arstudio.gui.widgets.sheet import Sheet
from arstudio.gui.widgets.toolbox import HideBar, ToolColumn

COUNTS = (4, 8, 12, 16, 32)
PICTURES = "Pictures (*.png *.jpg *.jpeg *.gif *.bmp *.tif *.tiff *.webp)"


class CompletePanel(QWidget):
    """The page; `side` and `bottom` are its parts in the docks, `undo_stack` its history of edits."""

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self.setObjectName("stage")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAcceptDrops(True)
        self.studio = studio
        self.undo_stack = QUndoStack(self)
        self.undo_stack.setUndoLimit(300)
        self.found: Completions | None = None
        self._task: Task | None = None
        self._sampler: Any = None
        self._run: tuple[Sheet, Any, float] | None = None     # sheet, card and start of the run under way
        self._seen = -1
        self._chosen = 0
        self._follow = True                                   # the canvas shows the chosen completion
        self._source_words = ""
        self._random = 0
        self._live = QTimer(self, interval=33)
        self._live.timeout.connect(self._pull)

        self.canvas = Canvas(self.undo_stack)
        self.pictures = PictureSource(studio, self)
        self.tools = ToolColumn(self.canvas, self)
        self.agreement = AgreementColumn()
        self.easel = Easel(self.canvas, self.agreement)
        self.side = CompletionSide()
        self.bottom = self._make_bottom()
        self.empty = EmptyState("", "")
        self._pages = QStackedWidget()
        self._pages.addWidget(self.empty)
        self._pages.addWidget(self._make_page())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._pages)
        self._connect()
        self._show_words()
        self._model_changed()

    # -- building -------------------------------------------------------------------------------------------

    def _make_page(self) -> QWidget:
        self.caption = label("", "small")
        self.caption.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.hide_bar = HideBar()
        self.go = QPushButton(self.tr("Complete"))
        self.go.setObjectName("primary")
        self.go.setToolTip(self.tr("Draw the hidden pixels from p(xₜ | x₍<t₎), keeping the known ones (Ctrl+Return)"))
        self.count = QComboBox()
        self.count.addItems([str(n) for n in COUNTS])
        self.count.setCurrentText("12")
        self.count.setToolTip(self.tr("How many completions to draw"))
        self.method = QComboBox()
        self.method.addItem(self.tr("Clamp"), "clamp")
        self.method.setToolTip(self.tr(
            "Clamp: the model draws pixel by pixel in its order; known pixels keep their value.\n"
            "Each hidden pixel is drawn from p(xₜ | x₍<t₎): known pixels that come later do not influence it."
        ))
        self.new = QToolButton(text=self.tr("New"))
        self.new.setObjectName("field")
        self.new.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.new.setToolTip(self.tr("Put another picture on the canvas"))
        self.new.setMenu(self._make_menu())
        hide = QHBoxLayout()
        hide.setSpacing(10)
        hide.addWidget(label(self.tr("Hide"), "dim"))
        hide.addWidget(self.hide_bar)
        hide.addStretch()
        act = QHBoxLayout()
        act.setSpacing(8)
        for widget in (self.go, Field(self.tr("Method"), self.method), Field(self.tr("Images"), self.count), self.new):
            act.addWidget(widget)
        act.addStretch()
        right = QVBoxLayout()
        right.setSpacing(0)
        right.addWidget(self.easel, 1)
        right.addSpacing(6)
        right.addWidget(self.caption)
        right.addSpacing(12)
        right.addLayout(hide)
        right.addSpacing(12)
        right.addLayout(act)
        page = QWidget()
        row = QHBoxLayout(page)
        row.setContentsMargins(24, 16, 24, 16)
        row.setSpacing(18)
        row.addWidget(self.tools)
        row.addLayout(right, 1)
        return page

    def _make_menu(self) -> QMenu:
        menu = QMenu(self)
        for text, tip, act in (
            (self.tr("Blank"), self.tr("Everything hidden: what you draw becomes known"), self.new_blank),
            (self.tr("From the dataset"), self.tr("A random test image of the model's dataset"), self.new_from_dataset),
            (self.tr("From the drawing"), self.tr("What Generate shows now"), self.new_from_drawing),
            (self.tr("Open file…"), self.tr("Fitted to the model's size and levels"), self.choose_file),
            (self.tr("Paste"), self.tr("The picture on the clipboard"), self.paste),
        ):
            action = menu.addAction(text)
            action.setToolTip(tip)
            action.triggered.connect(act)
        menu.setToolTipsVisible(True)
        return menu

    def _make_bottom(self) -> QWidget:
        self.gallery = Gallery()
        self.gallery_title = section(self.tr("Completions"))
        self.ranking = Segmented(
            [("likely", self.tr("Most likely")), ("typical", self.tr("Most typical")),
             ("different", self.tr("Most different"))],
            {"likely": self.tr("Highest log p(hidden | past) first"),
             "typical": self.tr("log p nearest the mean of all completions first"),
             "different": self.tr("Each one as far as possible from those before it: max min Σ |x − x′|")},
        )
        self.invitation = label("", "dim", wrap=True)
        bottom = QWidget()
        bottom.setObjectName("side")
        column = QVBoxLayout(bottom)
        column.setContentsMargins(24, 8, 24, 8)
        column.setSpacing(6)
        row = QHBoxLayout()
        row.addWidget(self.gallery_title, 1)
        row.addWidget(self.ranking)
        column.addLayout(row)
        column.addWidget(self.invitation)
        column.addWidget(self.gallery, 1)
        return bottom

    def _connect(self) -> None:
        studio, canvas = self.studio, self.canvas
        studio.model_changed.connect(self._model_changed)
        studio.model_loading.connect(self._model_loading)
        self.pictures.ready.connect(self._place)
        self.empty.acted.connect(self.pictures.open_first_model)
        canvas.edited.connect(self._edited)
        canvas.preview_left.connect(self._preview_left)
        canvas.hovered.connect(self._hovered)
        self.hide_bar.chosen.connect(self.hide_part)
        self.go.clicked.connect(self._go_or_stop)
        self.gallery.chosen.connect(self.choose)
        self.gallery.taken.connect(lambda _index: self.use_as_canvas())
        self.ranking.chosen.connect(self._rank)
        self.side.taken.connect(self.use_as_canvas)
        self.side.opened.connect(self.open_in_generate)
        self.side.compared.connect(self._compare)

    # -- what the window calls ------------------------------------------------------------------------------

    def set_tool(self, name: str) -> None:
        """Choose a tool: brush, mask, eraser, line, rectangle, fill or picker."""
        self.tools.set_tool(name)

    def open_file(self, path: str | Path) -> None:
        """Put a picture file on the canvas, fitted; a notice says what was done. Bad files change nothing."""
        self.pictures.read_file(path)

    def choose_file(self) -> None:
        """Ask for a file and open it."""
        path, _ = QFileDialog.getOpenFileName(self, self.tr("Open picture"), "", PICTURES)
        if path:
            self.open_file(path)

    def paste(self) -> None:
        """Put the clipboard's picture on the canvas."""
        if not self._accept(QGuiApplication.clipboard().mimeData()):
            self.studio.message.emit("info", self.tr("There is no picture on the clipboard: copy one first."))

    def copy(self) -> None:
        """Put what the canvas shows on the clipboard, eight times enlarged; hidden pixels are transparent."""
        if self.canvas.sheet is not None:
            QGuiApplication.clipboard().setImage(qimage_of(self.canvas.image(), self.canvas.spec))

    def new_blank(self) -> None:
        """An empty canvas, all hidden: strokes become what is known."""
        if self.canvas.sheet is not None:
            spec = self.canvas.spec
            self._source_words = self.tr("Blank: everything is hidden, what you draw becomes known")
            self.canvas.change(self.tr("Blank"), np.zeros(spec.shape), np.ones((spec.height, spec.width)))
            self.set_tool("brush")

    def new_from_dataset(self) -> None:
        """A random test image of the model's dataset, in the model's view of it."""
        self.pictures.take_from_dataset()

    def new_from_drawing(self) -> None:
        """The image Generate shows, as far as it is drawn."""
        self.pictures.take_from_drawing()

    def hide_part(self, name: str) -> None:
        """Hide top, left, right, bottom, centre or a random half; invert or clear what is hidden."""
        sheet = self.canvas.sheet
        if sheet is None:
            return
        if name == "invert":
            hidden = ~sheet.hidden
        elif name == "clear":
            hidden = np.zeros_like(sheet.hidden)
        else:
            from arstudio.sampling.completion import preset_mask

            self._random += 1
            hidden = preset_mask("random:0.5" if name == "random" else name, *sheet.hidden.shape, self._random)
        self.canvas.change(self.tr("Hide: {0}").format(self.hide_bar.buttons[name].text()), hidden=hidden)

    # -- pictures -------------------------------------------------------------------------------------------

    @Slot(str)
    def _model_loading(self, title: str) -> None:
        if self.studio.model is None:
            self.empty.show_state(self.tr("Opening {0}").format(title), self.tr("This takes a moment."))
            self._pages.setCurrentIndex(0)

    @Slot()
    def _model_changed(self) -> None:
        card = self.studio.card
        if self.studio.model is None or card is None:
            self.empty.show_state(
                self.tr("Complete a picture"),
                self.tr("A model draws what you hide. Choose one in the Library, or start with the first."),
                self.tr("Open a model"),
            )
            self._pages.setCurrentIndex(0)
            return
        if self.canvas.sheet is not None and self.canvas.spec == card.spec:
            self._pages.setCurrentIndex(1)
            self._title_gallery()
            return
        if self._task is not None:
            self._task.stop_and_wait()
            self._ended()
        if self.canvas.sheet is not None:
            self.studio.message.emit("info", self.tr(
                "The canvas held {0}; this model draws {1}, so it begins with a new picture."
            ).format(self.canvas.spec, card.spec))
        self.empty.show_state(self.tr("Taking a picture"), self.tr("A test image for this model is on its way."))
        self._pages.setCurrentIndex(0)
        self.pictures.take_from_dataset(first=True)

    @Slot(object, object, str, str)
    def _place(self, content: np.ndarray, hidden: np.ndarray | None, words: str, notice: str) -> None:
        """A picture arrived: content (C, H, W), what is hidden or None to keep the mask, caption, notice."""
        spec = self.studio.card.spec
        if content.shape != spec.shape:
            return
        sheet = self.canvas.sheet
        self._source_words = words
        if sheet is None or self.canvas.spec != spec:
            if hidden is None:
                hidden = _lower_half(spec.height, spec.width)
            self.found = None
            self.gallery.clear()
            self.canvas.begin(content, hidden, spec)
            self.tools.refresh()
            self.easel.arrange()
            self._show_words()
        else:
            if hidden is None:
                hidden = _lower_half(spec.height, spec.width) if sheet.hidden.all() else sheet.hidden
            self.canvas.change(self.tr("New picture"), content, hidden)
        self._hovered(-1, -1)
        self._pages.setCurrentIndex(1)
        if notice:
            self.studio.message.emit("info", notice)

    def _accept(self, data: QMimeData) -> bool:
        """Take a picture from the clipboard or a drop."""
        files = [url.toLocalFile() for url in data.urls() if url.isLocalFile()]
        if files:
            self.open_file(files[0])
            return True
        image = data.imageData() if data.hasImage() else None
        if isinstance(image, QImage) and not image.isNull():
            self.pictures.take_image(image, self.tr("The pasted picture"))
            return True
        return False

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Pictures and files may be dropped."""
        if event.mimeData().hasImage() or event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        if self._accept(event.mimeData()):
            event.acceptProposedAction()

    # -- running --------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """True while completions are drawn."""
        return self._task is not None

    def complete(self) -> None:
        """Draw completions of the canvas."""
        sheet, studio = self.canvas.sheet, self.studio
        if self._task is not None:
            return
        if studio.model is None or sheet is None:
            studio.message.emit("info", self.tr("Choose a model first: the Library on the left lists them."))
            return
        if not sheet.hidden.any():
            studio.message.emit("info", self.tr(
                "Nothing is hidden: paint over the part of the picture to be completed, or choose one beside “Hide”."
            ))
            return
        model, settings, y = studio.model, studio.sample_settings(), studio.classes_tensor()
        card, count, start = studio.card, int(self.count.currentText()), time.perf_counter()

        def draw(progress: TaskProgress) -> Completions:
            from arstudio.sampling.completion import completion_sampler

            sampler = completion_sampler(model, sheet.content, ~sheet.hidden, count, settings, y)
            progress.publish(sampler)
            sampler.run(progress)
            return collect(sampler, sheet, card, time.perf_counter() - start)

        self._run, self._sampler, self._seen, self._chosen, self._follow = (sheet, card, start), None, -1, 0, True
        self._task = Task(draw, self.tr("Completing {0} images").format(count), self)
        self._task.partial.connect(self._started)
        self._task.reported.connect(self._reported)
        self._task.done.connect(self._done)
        self._task.failed.connect(self._failed)
        self._task.cancelled.connect(self._stopped)
        self.go.setText(self.tr("Stop"))
        self._reported(None, "")
        self._task.start()

    def cancel(self) -> None:
        """Stop drawing and keep what is there; when nothing runs, go back from a preview to the canvas."""
        if self._task is not None:
            self._task.cancel()
        else:
            self.canvas.leave_preview()

    def _go_or_stop(self) -> None:
        if self._task is None:
            self.complete()
        else:
            self.cancel()

    @Slot(object)
    def _started(self, sampler: Any) -> None:
        self._sampler = sampler
        self.found = None
        self.agreement.show_sheet(self._run[0], sampler.trace.spec)
        self.gallery.set_current(0)
        self._live.start()
        self._pull()
        self._show_words()

    @Slot(object, str)
    def _reported(self, fraction: float | None, text: str) -> None:
        if self._task is not None:
            name = self._task.objectName()
            self.studio.status.emit(f"{name} · {text}" if text else name, fraction)

    @Slot()
    def _pull(self) -> None:
        """Look at the trace; show it if it grew."""
        trace = self._sampler.trace
        if trace.cursor == self._seen:
            return
        self._seen = trace.cursor
        sheet = self._run[0]
        images = live_images(trace, sheet)
        self.gallery.show_images(images, trace.spec, list(range(trace.count)), [])
        if self._follow:
            self.canvas.show_preview(images[self._chosen], sheet.hidden)

    @Slot(object)
    def _done(self, found: Completions) -> None:
        self._ended()
        self._show(found)

    @Slot(str, str)
    def _failed(self, sentence: str, _trace: str) -> None:
        self._ended()
        self.canvas.leave_preview()
        self.studio.message.emit("error", sentence)

    @Slot()
    def _stopped(self) -> None:
        sampler, run = self._sampler, self._run
        self._ended()
        if sampler is not None and sampler.trace.cursor:
            self._show(collect(sampler, run[0], run[1], time.perf_counter() - run[2]))

    def _ended(self) -> None:
        self._live.stop()
        task, self._task, self._sampler, self._run = self._task, None, None, None
        task.deleteLater()
        self.go.setText(self.tr("Complete"))
        self.studio.status.emit("", None)
        self._show_words()

    # -- results --------------------------------------------------------------------------------------------

    def _show(self, found: Completions) -> None:
        self.found = found
        self.agreement.show_completions(found, found.trace.spec)
        self._rank(self.ranking.key())
        if self._follow:
            self.choose(self.gallery.order[0])
        else:
            self._show_words()

    def _rank(self, ranking: str) -> None:
        """Show the completions in another order."""
        if self.found is None:
            return
        found, current = self.found, self.gallery.current
        tips = [
            self.tr("log p = {0:.1f} nats, {1:.2f} bits per hidden pixel\nDouble click: use as canvas").format(
                float(found.log_prob[i]), found.bits_per_pixel(i)
            ) for i in range(found.count)
        ]
        self.gallery.show_images(found.images, found.trace.spec, found.order(ranking), tips)
        self.gallery.set_current(current)
        self._show_words()

    def choose(self, index: int) -> None:
        """Show a completion large; the canvas itself is unchanged."""
        self._chosen, self._follow, self._seen = index, True, -1
        self.gallery.set_current(index)
        if self.found is not None:
            self.canvas.show_preview(self.found.images[index], self.found.sheet.hidden)
            self._show_words()
        self._hovered(-1, -1)

    def use_as_canvas(self) -> None:
        """Put the chosen completion on the canvas; what was drawn is known from now on."""
        index = self.gallery.current
        if self.found is None or index is None or self.found.trace.spec != self.canvas.spec:
            return
        image = self.found.images[index]
        self._source_words = self.tr("A completion: hide another part of it and go on")
        content = np.where(image < 0, self.found.sheet.content, image)
        self.canvas.change(self.tr("Use completion"), content, (image < 0).any(0))
        self._hovered(-1, -1)

    def open_in_generate(self) -> None:
        """Show the trace of the completions in Generate."""
        if self.found is not None and self.gallery.current is not None:
            self.studio.pause()
            self.studio.stop_drawing()
            self.studio.show_trace(self.found.trace, self.found.card, focus=self.gallery.current)
            self.studio.tab_requested.emit("generate")

    def _compare(self, held: bool) -> None:
        if self.found is None or self.gallery.current is None:
            return
        image = self.found.sheet.content if held else self.found.images[self.gallery.current]
        self.canvas.show_preview(image, self.found.sheet.hidden)

    # -- words ----------------------------------------------------------------------------------------------

    @Slot()
    def _edited(self) -> None:
        if self.found is None and self._task is None and self.canvas.sheet is not None:
            self.agreement.show_sheet(self.canvas.sheet, self.canvas.spec)
        self._title_gallery()
        self._hovered(-1, -1)

    @Slot()
    def _preview_left(self) -> None:
        self._follow = False
        self.gallery.set_current(None)
        self._show_words()
        self._hovered(-1, -1)

    @Slot(int, int)
    def _hovered(self, row: int, column: int) -> None:
        """The line below the canvas: the pixel under the mouse, or what is on the canvas."""
        sheet = self.canvas.sheet
        if sheet is None:
            return
        if row >= 0:
            values = ", ".join(str(int(v)) for v in self.canvas.image()[:, row, column])
            state = self.tr("level {0}").format(values) if "-" not in values else self.tr("not drawn yet")
            if sheet.hidden[row, column] and not self.canvas.previewing:
                state = self.tr("hidden")
            words = self.tr("row {0}, column {1} · {2}").format(row, column, state)
        elif self.canvas.previewing:
            words = self.tr("A completion · Esc, or drawing, goes back to your canvas")
        else:
            hidden = self.tr("{0} of {1} pixels hidden").format(int(sheet.hidden.sum()), sheet.hidden.size)
            words = f"{self._source_words} · {hidden}" if self._source_words else hidden
        if words != self.caption.text():
            self.caption.setText(words)

    def _title_gallery(self) -> None:
        title = self.tr("Completions")
        if self.found is not None and self.found.card is not self.studio.card:
            title = self.tr("Completions by {0}").format(self.found.card.title)
        elif self.found is not None and self.canvas.sheet is not None and not self.canvas.sheet.same(self.found.sheet):
            title = self.tr("Completions of the canvas before your last changes")
        self.gallery_title.setText(title.upper())

    def _show_words(self) -> None:
        """Title, figures and invitations of side and bottom."""
        index, running = self.gallery.current, self._task is not None and self._sampler is not None
        shown = self.found is not None or running
        self.gallery.setVisible(shown)
        self.invitation.setVisible(not shown)
        self.invitation.setText(self.tr("Hide a part of the picture, then press Complete: what the model draws appears here."))
        self.ranking.setEnabled(self.found is not None)
        self._title_gallery()
        if running:
            self.side.show_words(
                self.tr("Drawing {0} completions").format(self._sampler.trace.count),
                self.tr("The pixels appear in the model's order. Esc stops and keeps what is there."),
            )
        elif self.found is None:
            self.side.show_words(
                self.tr("No completions yet"),
                self.tr("Their log p, their bits per hidden pixel and what they were conditioned on appear here."),
            )
        elif index is None:
            self.side.show_words(
                self.tr("{0} completions").format(self.found.count),
                self.tr("Choose one below to see it large."),
            )
        else:
            note = "" if self.found.finished else self.tr("Stopped: what was drawn until then.")
            self.side.show_completion(self.found, index, self.gallery.order.index(index) + 1, note)

    def changeEvent(self, event: QEvent) -> None:
        """Icons follow the palette."""
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange) and hasattr(self, "tools"):
            retint(self)
        super().changeEvent(event)


def _lower_half(height: int, width: int) -> np.ndarray:
    hidden = np.zeros((height, width), dtype=bool)
    hidden[(height + 1) // 2:] = True
    return hidden


