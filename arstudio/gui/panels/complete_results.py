"""What comes of runs in the Complete panel: canvas, gallery, agreement map and figures follow the run under way and the
completions it leaves; they are chosen, ranked, compared and taken here."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QObject, Slot

from arstudio.gui.panels.complete_live import LiveSketch
from arstudio.gui.panels.complete_page import CompletePage
from arstudio.gui.panels.complete_run import CompletionRun
from arstudio.gui.panels.complete_shelf import CompletionShelf
from arstudio.gui.panels.complete_side import CompletionSide
from arstudio.gui.studio import Studio
from arstudio.gui.widgets.completions import Completions
from arstudio.image import is_hidden


class CompletionResults(QObject):
    """`last` is the result shown, None before there is one; `follow` whether the canvas shows what is chosen."""

    def __init__(
        self, studio: Studio, page: CompletePage, shelf: CompletionShelf, side: CompletionSide, run: CompletionRun,
        live: LiveSketch, parent: QObject,
    ) -> None:
        super().__init__(parent)
        self.studio, self.page, self.shelf, self.side, self.run, self.live = studio, page, shelf, side, run, live
        self.canvas, self.gallery = page.canvas, shelf.gallery
        self.last: Completions | None = None
        self.follow = True
        run.began.connect(self._began)
        run.grew.connect(self._grew)
        run.ended.connect(self._ended)
        run.failed.connect(self._failed)
        live.switched.connect(self._live_switched)
        self.canvas.edited.connect(self._edited)
        self.canvas.preview_left.connect(self._preview_left)
        self.canvas.nothing_to_keep.connect(self._nothing_to_keep)
        self.gallery.chosen.connect(self.choose)
        self.gallery.taken.connect(self.take)
        shelf.ranking.chosen.connect(self._rank)
        side.taken.connect(self.take)
        side.opened.connect(self.open_in_generate)
        side.compared.connect(self._compare)

    def forget(self) -> None:
        """No results: for a canvas of another size."""
        self.last = None
        self.gallery.clear()
        self.show_words()

    @Slot()
    def _began(self) -> None:
        if self.live.on:
            return
        self.last = None
        words = self.tr("Where the completions agree is shown when they are drawn.")
        self.page.agreement.show_sheet(self.run.sheet, self.run.trace.spec, words)
        self.gallery.set_current(0)
        self.show_words()

    @Slot(object)
    def _grew(self, images: np.ndarray) -> None:
        if self.live.on:    # the last result stays until the next is there: nothing flickers under the pen
            return
        self.gallery.show_images(images, self.run.trace.spec, list(range(len(images))), [])
        if self.follow and self.gallery.current is not None:
            self.canvas.show_preview(images[self.gallery.current], self.run.sheet.hidden)
            self.page.caption.describe(self.canvas)

    @Slot(object)
    def _ended(self, found: Completions | None) -> None:
        if self.live.on:
            if found is not None:
                self._show_live(found)
            self.live.go_on()
            return
        self.page.show_running(False)
        if found is None and self.last is None:
            self.gallery.clear()
        if found is None:
            self.show_words()
            return
        self.last = found
        self.page.agreement.show_completions(found, found.trace.spec)
        self.shelf.show_completions(found)
        if self.follow:
            self.choose(self.gallery.order[0])
        else:
            self.show_words()

    def _show_live(self, found: Completions) -> None:
        self.last = found
        self.canvas.leave_preview()
        self.canvas.show_ghost(found.images[self._seen()])    # the typical one: the most probable is often the emptiest
        self.page.agreement.show_completions(found, found.trace.spec)
        self.shelf.show_completions(found)
        self.show_words()

    @Slot(bool)
    def _live_switched(self, on: bool) -> None:
        self.page.show_running(False)
        self.canvas.leave_preview()
        self.gallery.set_current(None)
        self.show_words()

    @Slot(str)
    def _failed(self, sentence: str) -> None:
        self.page.show_running(False)
        self.page.live.setChecked(False)
        self.gallery.clear()
        self.canvas.leave_preview()
        self.show_words()
        self.studio.message.emit("error", sentence)

    @Slot(str)
    def _rank(self, _key: str) -> None:
        if self.last is not None:
            self.shelf.show_completions(self.last)
            self.show_words()

    @Slot(int)
    def choose(self, index: int) -> None:
        """Show a completion large; the canvas itself is unchanged."""
        self.follow = True
        self.gallery.set_current(index)
        if self.last is not None:
            self.canvas.show_preview(self.last.images[index], self.last.sheet.hidden)
            self.show_words()
        self.page.caption.describe(self.canvas)

    def _seen(self) -> int | None:
        """The completion that is shown: the chosen one, or in a live sketch the typical one."""
        if self.gallery.current is None and self.live.on and self.last is not None:
            return self.last.order("typical")[0]
        return self.gallery.current

    @Slot()
    def take(self) -> None:
        """Put the completion that is shown on the canvas; what was drawn is known from now on."""
        index = self._seen()
        if self.last is not None and index is not None:
            image = self.last.images[index]
            self.page.caption.words = self.tr("A completion: hide another part of it and go on")
            content = np.where(is_hidden(image), self.last.sheet.content, image)
            self.canvas.change(self.tr("Use completion"), content, is_hidden(image).any(0))
            self.page.caption.describe(self.canvas)

    @Slot()
    def open_in_generate(self) -> None:
        """Show the trace of the completions in Generate."""
        index = self._seen()
        if self.last is not None and index is not None:
            self.studio.pause()
            self.studio.stop_drawing()
            self.studio.show_trace(self.last.trace, self.last.card, focus=index)
            self.studio.tab_requested.emit("generate")

    @Slot(bool)
    def _compare(self, held: bool) -> None:
        if self.last is None:
            return
        if held and self._seen() is not None:
            self.canvas.show_preview(self.last.sheet.content, self.last.sheet.hidden)
        elif self.gallery.current is not None:
            self.canvas.show_preview(self.last.images[self.gallery.current], self.last.sheet.hidden)
        else:
            self.canvas.leave_preview()

    @Slot()
    def _edited(self) -> None:
        if self.last is None and not self.run.running:
            self.page.agreement.show_sheet(self.canvas.sheet, self.canvas.spec)
        self.page.agreement.show_hints(bool(self.canvas.sheet.hinted.any()))
        self._title_shelf()
        self.page.caption.describe(self.canvas)

    @Slot()
    def _preview_left(self) -> None:
        self.follow = False
        self.gallery.set_current(None)
        self.show_words()
        self.page.caption.describe(self.canvas)

    @Slot()
    def _nothing_to_keep(self) -> None:
        self.studio.message.emit("info", self.tr("Choose a completion first: keep takes over the pixels of it you paint."))

    def _title_shelf(self) -> None:
        title, found = "", self.last
        if found is not None:
            title = self.tr("{0} by {1}").format(found.count, found.card.title)
            if self.canvas.sheet is not None and not self.canvas.sheet.same(found.sheet):
                title = self.tr("{0}, before your last changes").format(title)
        self.shelf.title.setText(title.upper())

    def show_words(self) -> None:
        """Title, figures and invitations of side and shelf."""
        found, index, trace = self.last, self.gallery.current, self.run.trace
        running = trace is not None and not self.live.on
        self.shelf.set_filled(found is not None or running)
        self._title_shelf()
        if running:
            self.side.show_words(
                self.tr("Drawing {0} completions").format(trace.count),
                self.tr("The pixels appear in the model's order. Esc stops and keeps what is there."),
            )
        elif found is None and self.live.on:
            self.side.show_words(
                self.tr("Live sketch"), self.tr("Draw, and the model goes on with it. Esc or the button ends it."),
            )
        elif found is None:
            self.side.show_words(
                self.tr("No completions yet"),
                self.tr("Their log p, their bits per hidden site and what they are conditioned on appear here."),
            )
        elif index is None and self.live.on:
            seen = self._seen()
            rank = self.gallery.order.index(seen) + 1
            self.side.show_completion(found, seen, rank, self.tr("Live: it follows your pen."))
        elif index is None:
            title = self.tr("{0} completions").format(found.count)
            self.side.show_words(title, self.tr("Choose one below to see it large."))
        else:
            note = "" if found.finished else self.tr("Stopped: what was drawn until then.")
            self.side.show_completion(found, index, self.gallery.order.index(index) + 1, note, self._offer(found))

    def _offer(self, found: Completions) -> str:
        """What the button for more particles says, "" where they would not help."""
        number = self.page.more_particles(found.found)
        if found.found.trust.level in ("good", "exact") or not found.finished or not number:
            return ""
        return self.tr("Complete with {0:,} particles").format(number)
