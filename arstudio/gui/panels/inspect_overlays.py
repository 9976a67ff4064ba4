"""Maps on the image: what was surprising, open, expected or missed; what the inspected pixel sees, depends on, attends to.

Surprise and entropy are the stage's own; everything else is worked out here and handed to it. What takes more than a
moment runs in one thread, and only the latest question counts.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QTimer, Slot
from PySide6.QtWidgets import QVBoxLayout, QWidget

from arstudio.gui.panels.inspect_reader import Reader
from arstudio.gui.studio import Studio
from arstudio.gui.tasks import Latest, TaskProgress
from arstudio.gui.widgets.colour_scale import ColourScale, in_bits
from arstudio.gui.widgets.controls import Choice, Segmented, label
from arstudio.gui.widgets.pixel_view import pixels
from arstudio.image import ImageSpec

if TYPE_CHECKING:
    import numpy as np

OVERLAYS = (
    ("none", "None"), ("surprise", "Surprise"), ("entropy", "Entropy"),
    ("argmax", "Most probable"), ("expectation", "Mean"), ("error", "Error"),
    ("sees", "Sees"), ("depends", "Depends"), ("attention", "Attention"),
)
COMPUTED = ("sees", "depends", "attention")
FRAME = 0.05    # seconds between two pictures of a map while it grows


class OverlaySection(QWidget):
    """The choice of a map, its scale, and a sentence that says what is seen."""

    def __init__(self, studio: Studio, stage: Any, reader: Reader) -> None:
        super().__init__()
        self.studio, self.stage, self.reader = studio, stage, reader
        self._shown_for: tuple | None = None      # question the map on screen answers
        self._asked: tuple | None = None          # question that is being worked on
        self._drawn = 0.0
        self._guess: np.ndarray | None = None     # the map by gradient, until the exact one is there
        self._heads: list = []
        self.choice = Segmented(OVERLAYS, {
            "surprise": self.tr("−log₂ p of each pixel's value, in bits"),
            "entropy": self.tr("Entropy of each pixel's distribution, in bits: −Σₖ p(k) log₂ p(k)"),
            "argmax": self.tr("argmaxₖ p(xₜ = k | x<t): the most probable value of each pixel"),
            "expectation": self.tr("Σₖ k · p(xₜ = k | x<t): the mean of each pixel's distribution"),
            "error": self.tr("|xₜ − mean|: how far each pixel is from what was expected"),
            "sees": self.tr("Which pixels can influence this one: |∂ params / ∂ x| over several images, exactly 0 "
                            "where there is no path"),
            "depends": self.tr("How many bits this pixel's distribution moves, on average, when a past pixel is drawn again: "
                               "Σᵥ p(xⱼ = v | x<j) · KL(p(xₜ | x<t) ‖ p(xₜ | x<t, xⱼ ← v))"),
            "attention": self.tr("softmax(q·k / √d): where the layers with attention look from this pixel"),
        }, columns=3)
        self.choice.chosen.connect(self._chosen)
        self.way = Segmented((("exact", self.tr("Exact")), ("gradient", self.tr("Gradient"))), {
            "exact": self.tr("Every past pixel replaced, one forward pass for each value; the gradient's map until then"),
            "gradient": self.tr("The same to second order from one backward pass: ½ Σₖ p(k) (∇ log p(k) · Δe)²"),
        })
        self.way.chosen.connect(self._option_chosen)
        self.head = Choice()
        self.head.setAccessibleName(self.tr("Layer and head"))
        self.head.currentIndexChanged.connect(self._option_chosen)
        self.scale = ColourScale()
        self.legend = label("", "small", wrap=True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        for widget in (self.choice, self.way, self.head, self.scale, self.legend):
            column.addWidget(widget)
        self._work = Latest(self, "map")
        self._work.partial.connect(self._partial)
        self._work.done.connect(self._done)
        self._work.failed.connect(self._sorry)
        self._soon = QTimer(self, singleShot=True, interval=60)    # a step of the playhead is no reason for a whole map
        self._soon.timeout.connect(self.refresh)
        self._arrange()

    @property
    def key(self) -> str:
        """Which map is chosen."""
        return self.choice.key()

    @property
    def busy(self) -> bool:
        """True while a map is being worked out, or about to be."""
        return self._work.busy or self._soon.isActive()

    @Slot(str)
    def _chosen(self, key: str) -> None:
        self._shown_for = self._asked = None
        self._work.forget()
        self._arrange()
        self.stage.show_overlay(key)
        self.refresh()

    @Slot()
    def _option_chosen(self) -> None:
        if self.key == "attention" and self._heads:
            self._show_head()
        elif self.key == "depends":
            self._shown_for = self._asked = None
            self.refresh()

    def _arrange(self) -> None:
        """Show what belongs to the chosen map."""
        key, trace = self.key, self.studio.trace
        self.way.setVisible(key == "depends")
        self.head.setVisible(key == "attention" and self.head.count() > 1)
        self.scale.setVisible(key not in ("none", "argmax", "expectation") and trace is not None)
        model = self.studio.model
        self.choice.button("attention").setVisible(model is not None and model.attends)
        self.choice.fit()
        words = {
            "surprise": self.tr("−log₂ p of the value drawn: what an ideal code would spend on it."),
            "entropy": self.tr("How open each pixel was before it was drawn."),
            "argmax": self.tr("The most probable value of each pixel, given what came before."),
            "expectation": self.tr("The mean each pixel was expected to have, given what came before."),
            "error": self.tr("How far each pixel is from the mean it was expected to have."),
        }
        if trace is not None:
            spec, more = trace.spec, self.tr("more is shown as the brightest")
            if key in ("surprise", "entropy"):
                most = math.log2(spec.bins) * spec.channels
                why = self.tr("log₂ of the number of values a pixel can take")
                self.scale.set_high(most, f"{why}; {more}" if key == "surprise" else why, beyond=key == "surprise")
                if spec.levels == 0:
                    words[key] += self.tr(" At a precision of 1/256.")
            elif key == "error":
                high = self.tr("{0:g} levels").format(self._most_error()) if spec.levels > 2 else f"{self._most_error():g}"
                most = self._most_error() == spec.top
                self.scale.show_ends("0", high if most else f"≥ {high}", "" if most else more)
            elif key in COMPUTED:
                self.scale.show_ends("", "", "")
        self.legend.setText(words.get(key, "" if key == "none" else self.tr("Working it out…")))
        self.legend.setVisible(key != "none")

    def _most_error(self) -> float:
        spec = self.studio.trace.spec
        return spec.top if spec.levels in (2, 3) else spec.top / 2

    @Slot()
    def start_over(self) -> None:
        """Another drawing, image or model: whatever was shown belongs to the one before."""
        self._shown_for = self._asked = None
        self._work.forget()
        self._arrange()
        self.refresh()

    @Slot()
    def follow(self) -> None:
        """The playhead or the selection moved."""
        if self.key in ("argmax", "expectation", "error"):
            self.refresh()
        elif self.key in COMPUTED and not self.studio.playing:
            self._soon.start()

    @Slot()
    def refresh(self) -> None:
        """Show the chosen map as it is now, or ask for it."""
        key, trace = self.key, self.studio.trace
        if trace is None or not self.isVisible():
            return
        if key in ("argmax", "expectation", "error"):
            now = time.monotonic()
            if not self.studio.playing or now - self._drawn > FRAME:
                self._drawn = now
                self._show_drawn(key)
        elif key in COMPUTED and not self.studio.playing:
            self._ask(key)

    def _show_drawn(self, key: str) -> None:
        import numpy as np

        from arstudio.analysis.maps import drawn_map

        trace, focus = self.studio.trace, self.studio.focus
        values = drawn_map(trace, key, focus, self.reader.shown)
        if values is None:
            x = self.reader.image(self.reader.shown)
            reading = self.reader.reading(x, self.reader.label, "map")
            if reading is None:
                return
            values = np.where(trace.step_of.reshape(trace.spec.shape) < self.reader.shown, getattr(reading.maps(), key), np.nan)
        if key == "error":
            unit = self.tr("{0:.2f} from the mean")
            self.stage.show_overlay(key, (values.mean(0), 0.0, float(self._most_error()), None, unit))
        else:
            spec = trace.spec
            picture = pixels(values / spec.top, ImageSpec(spec.channels, spec.height, spec.width, 0))
            self.stage.show_overlay(key, (picture, 0.0, 1.0))

    def _ask(self, key: str) -> None:
        studio, trace, model = self.studio, self.studio.trace, self.reader.model
        if model is None:
            self._cannot(self.tr("Open the model of this drawing to see what its pixels {0}.").format(
                {"sees": self.tr("can see"), "depends": self.tr("depend on"), "attention": self.tr("attend to")}[key]
            ))
            return
        if key == "attention" and not model.attends:
            self._cannot(self.tr("This model has no attention."))
            return
        step = studio.inspected_step()
        if step > self.reader.shown and key != "sees":
            self._cannot(self.tr("Known once the pixels before it are drawn."))
            return
        x, site, y = self.reader.image(step), trace.site(step), self.reader.label
        if trace.complete and key == "sees":
            x = self.reader.image()
        from arstudio.analysis.readings import key_of

        question = (key, self.way.key(), id(trace), studio.focus, step, key_of(model, x, y))
        if question in (self._shown_for, self._asked):
            return
        self._asked, self._guess, exact = question, None, self.way.key() == "exact"

        def sees(progress: TaskProgress) -> Any:
            from arstudio.analysis.maps import sees

            return question, site, sees(model, site, inputs=4, x=x, y=y)

        def depends(progress: TaskProgress) -> Any:
            from arstudio.analysis.depends import depends, depends_gradient

            guess = depends_gradient(model, x, site, y)
            if not exact:
                return question, site, guess
            progress.publish((question, site, guess, True))
            found = depends(model, x, site, y, first=guess, progress=_Forward(progress, question, site))
            return question, site, found

        def attention(progress: TaskProgress) -> Any:
            from arstudio.analysis.attention import attention_maps

            return question, site, attention_maps(model, x, site, y)

        self._work.ask({"sees": sees, "depends": depends, "attention": attention}[key])

    def _cannot(self, sentence: str) -> None:
        self._work.forget()
        self._shown_for = self._asked = None
        self.scale.hide()
        self.legend.setText(sentence)
        self.stage.show_overlay(self.key)

    @Slot(object)
    def _partial(self, found: tuple) -> None:
        question, site, values, guess = found
        if question != self._asked:
            return
        import numpy as np

        if guess:
            self._guess = values
        merged = np.where(np.isnan(values), 0.0 if self._guess is None else self._guess, values)
        left = int(np.isnan(values).any(0).sum())
        self._show_depends(site, merged, left=None if guess else left)

    @Slot(object)
    def _done(self, found: tuple) -> None:
        question, site, values = found
        if question != self._asked:
            return
        self._shown_for, self._asked = question, None
        if self.key == "sees":
            self._show_sees(site, values)
        elif self.key == "depends":
            self._show_depends(site, values, left=None if self.way.key() == "gradient" else 0)
        else:
            self._heads = values
            self._list_heads()
            self._show_head()

    @Slot(str)
    def _sorry(self, sentence: str) -> None:
        self._asked = None
        self.studio.message.emit("error", sentence)

    def _past(self, site: tuple[int, int, int]) -> np.ndarray:
        rank = self.studio.trace.order.rank
        return rank < rank[site[1], site[2]]

    def _show_sees(self, site: tuple[int, int, int], field: np.ndarray) -> None:
        import numpy as np

        field = field.sum(0)
        with np.errstate(divide="ignore"):
            scaled = np.where(field > 0, np.log10(field), np.nan)
        top = np.nanmax(scaled) if (field > 0).any() else 0.0
        past = self._past(site)
        seen, blind = int((field > 0)[past].sum()), past & ~(field > 0)
        words = self.tr("Pixel ({0}, {1}) can see {2} of {3} past pixels.").format(site[1], site[2], seen, int(past.sum()))
        if blind.any():
            words += self.tr(" Red: past pixels it cannot see, whatever they hold.")
        self.legend.setText(words)
        self.scale.setVisible(seen > 0)
        self.scale.show_ends(self.tr("1/10,000"), self.tr("strongest"), self.tr("|∂ params / ∂ x|, on a logarithmic scale"))
        self.stage.show_overlay("sees", (scaled, top - 4, top, blind if blind.any() else None))

    def _show_depends(self, site: tuple[int, int, int], bits: np.ndarray, left: int | None) -> None:
        import numpy as np

        bits = bits.sum(0)
        top = float(bits.max())
        if top <= 0:
            words = self.tr("Nothing that came before moves this distribution.")
        else:
            row, column = np.unravel_index(bits.argmax(), bits.shape)
            words = self.tr("Drawn again, pixel ({0}, {1}) would move this distribution most: by {2} on average.").format(
                row, column, in_bits(top)
            )
        if left is None:
            words += self.tr(" By the gradient: good for small moves.")
        elif left:
            words += self.tr(" Exact for all but {0} pixels, by the gradient there.").format(left)
        self.legend.setText(words)
        self.scale.setVisible(top > 0)
        self.scale.set_high(top, self.tr("Bits by which the distribution moves (Kullback–Leibler divergence)"))
        shown = np.where(self._past(site) | (bits > 0), bits, np.nan)
        self.stage.show_overlay("depends", (shown, 0.0, max(top, 1e-9), None, self.tr("{0:.2g} bits")))

    def _list_heads(self) -> None:
        names = [self.tr("All layers together")]
        heads = 1 + max(h.head for h in self._heads)
        names += [self.tr("Layer {0}").format(h.layer + 1) + (self.tr(", head {0}").format(h.head + 1) if heads > 1 else "")
                  for h in self._heads]
        if [self.head.itemText(i) for i in range(self.head.count())] != names:
            self.head.blockSignals(True)
            self.head.clear()
            self.head.addItems(names)
            self.head.blockSignals(False)
        self.head.setVisible(self.key == "attention" and len(names) > 2)

    def _show_head(self) -> None:
        import numpy as np

        index = max(self.head.currentIndex(), 0)
        chosen = self._heads if index == 0 else [self._heads[index - 1]]
        weights = np.mean([h.weights for h in chosen], axis=0)
        elsewhere = float(np.mean([h.elsewhere for h in chosen]))
        top = float(weights.max())
        if top <= 0:
            self.legend.setText(self.tr("There is nothing before this pixel to attend to."))
        else:
            row, column = np.unravel_index(weights.argmax(), weights.shape)
            words = self.tr("It looks most at pixel ({0}, {1}): {2:.1%} of the attention.").format(row, column, top)
            if elsewhere > 0.005:
                words += self.tr(" {0:.0%} rests on no pixel.").format(elsewhere)
            self.legend.setText(words)
        self.scale.setVisible(top > 0)
        self.scale.show_ends("0", f"{top:.1%}", self.tr("Share of the attention"))
        shown = np.where(weights > 0, weights, np.nan)
        self.stage.show_overlay("attention", (shown, 0.0, max(top, 1e-9), None, self.tr("{0:.1%} of the attention")))


class _Forward(TaskProgress):
    """Passes partial maps on with the question they answer."""

    def __init__(self, progress: TaskProgress, question: tuple, site: tuple[int, int, int]) -> None:
        super().__init__()
        self._progress, self._question, self._site = progress, question, site

    def publish(self, partial: Any) -> None:
        self._progress.publish((self._question, self._site, partial, False))

    def cancelled(self) -> bool:
        return self._progress.cancelled()
