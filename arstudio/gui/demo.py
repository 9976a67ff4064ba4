"""`arstudio demo`: the real window driven through the main job, leaving pictures, a GIF and a page with what it saw.

Visible where there is a display, offscreen otherwise. It clicks what a person clicks, at a pace a person can follow,
and uses settings and runs of its own, so nothing of the person's is touched.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arstudio.gui.main_window import MainWindow

TRAIN_MINUTES = 20 / 60


class DemoError(RuntimeError):
    """A step that did not come to its end in time; the message names it."""


def run(out: str | Path = "arstudio-demo") -> int:
    """Run the whole tour. Writes into `out`; returns the exit code. Raises OSError if `out` cannot be written."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    from arstudio.gui.app import Health, display_missing, make_application, private_settings

    if display_missing():
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    with tempfile.TemporaryDirectory(prefix="arstudio-demo-") as private:
        private_settings(private)
        make_application()
        from arstudio.gui.main_window import MainWindow
        from arstudio.gui.studio import Studio

        window = MainWindow(Studio())
        window.health = Health(window.studio, Path(private))
        tour = Tour(window, out)
        try:
            tour.run()
        except DemoError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            tour.close()
    print((out / "summary.md").read_text(encoding="utf-8"))
    print(f"Pictures, the GIF and this page are in {out.resolve()}.")
    return 0


class Tour:
    """The steps, in order. Each leaves a screenshot and lines for the summary."""

    def __init__(self, window: MainWindow, out: Path) -> None:
        self.window, self.studio, self.out = window, window.studio, out
        self.lines: list[str] = []
        self.started = time.perf_counter()

    def run(self) -> None:
        """All steps, then the summary."""
        self.open()
        self.generate()
        self.branch()
        self.inspect()
        self.complete()
        self.train()
        self.summarise()

    def wait(self, what: str, condition: Callable[[], bool], seconds: float = 120.0) -> None:
        """Keep the window alive until condition() holds. Raises DemoError naming `what` after `seconds`.

        An event loop of its own, not QTest.qWait: that one keeps the interpreter's lock, and every thread waits.
        """
        from PySide6.QtCore import QEventLoop, QTimer

        loop, end = QEventLoop(), time.perf_counter() + seconds

        def look() -> None:
            if condition() or time.perf_counter() > end:
                loop.quit()

        timer = QTimer(interval=15)
        timer.timeout.connect(look)
        timer.start()
        loop.exec()
        timer.stop()
        if not condition():
            raise DemoError(f"The demo stopped: {what} took longer than {seconds:.0f} s.")

    def pause(self, seconds: float) -> None:
        """Let a person see what happened."""
        end = time.perf_counter() + seconds
        self.wait("a pause", lambda: time.perf_counter() >= end)

    def picture(self, name: str) -> None:
        """Screenshot of the window."""
        self.pause(0.25)
        self.window.grab().save(str(self.out / f"{name}.png"))

    def say(self, line: str) -> None:
        """A line of the summary, also printed now."""
        self.lines.append(line)
        print(line, flush=True)

    def click(self, widget, point=None) -> None:
        """Click a widget, in its middle or at a point."""
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        where = point.toPoint() if point is not None else widget.rect().center()
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, where)

    def drawn(self) -> bool:
        """True when nothing is being drawn or played."""
        trace = self.studio.trace
        return trace is not None and trace.complete and not self.studio.drawing and not self.studio.playing

    def open(self) -> None:
        """The window, then the first bundled model, which begins to draw by itself."""
        self.window.show()
        self.wait("the first picture of the window", self.window.isVisible, 20)
        self.window.complete_start()
        self.wait("opening the first model", lambda: self.studio.trace is not None and self.studio.position > 0)
        card = self.studio.card
        seconds = time.perf_counter() - self.started
        self.say(f"- {seconds:.1f} s after the window opened, {card.title} ({card.kind}) was drawing.")

    def generate(self) -> None:
        """Watch nine images unfold; keep a GIF."""
        trace = self.studio.trace
        self.wait("half a drawing", lambda: self.studio.position > trace.spec.sites * 0.55)
        self.studio.pause()
        self.picture("1-generate")
        self.studio.play()
        self.wait("the drawing", self.drawn)
        from arstudio.sampling.export import gif_bytes

        (self.out / "generation.gif").write_bytes(gif_bytes(self.studio.trace))
        bits = [trace.spec.bits_per_dim(trace.nats(i)) for i in range(trace.count)]
        self.say(
            f"- Drew {trace.count} images from seed {self.studio.settings.seed}: first one {trace.nats(0):.2f} nats, "
            f"{min(bits):.3f} to {max(bits):.3f} bits/dim."
        )

    def branch(self) -> None:
        """Change one pixel in the middle by clicking a bar; the past stays, the future is drawn again."""
        trace, spec = self.studio.trace, self.studio.trace.spec
        row, column = spec.height // 2, spec.width // 2
        before = trace.values[0].copy()
        self.click(self.window.generate_panel.view, self.window.generate_panel.view.rect_of(row, column).center())
        step = trace.step(0, row, column)
        wanted = 0 if before[step] > (spec.levels - 1) / 2 else spec.levels - 1
        plot = self.window.inspector.plot
        self.wait("the distribution of the pixel", lambda: plot.pmf() is not None, 10)
        p = float(plot.pmf()[wanted])
        self.click(plot, plot.bar_centre(wanted))
        self.wait("the branch", lambda: self.drawn() and self.studio.trace.values[0, step] == wanted)
        after = self.studio.trace.values[0]
        if not (after[:step] == before[:step]).all():
            raise DemoError("The demo stopped: branching changed the past.")
        changed = int((after[step + 1:] != before[step + 1:]).sum())
        self.picture("2-branch")
        self.say(
            f"- Gave pixel ({row}, {column}) the value {wanted} (p = {p:.3g}) instead of {before[step]}: "
            f"{changed} later pixels came out differently, no earlier one."
        )

    def inspect(self) -> None:
        """Look at the least expected pixel of the first image, over the map of surprise."""
        trace = self.studio.trace
        step = int(trace.log_probs[0].argmin())
        self.studio.select(trace.site(step))
        self.click(self.window.inspector.overlays.button("surprise"))
        self.picture("3-inspect")
        figures = self.window.inspector.figures
        _, row, column = trace.site(step)
        self.say(
            f"- The least expected pixel is ({row}, {column}): value {figures.text('value')}, p {figures.text('p')}, "
            f"{figures.text('surprise')} against an entropy of {figures.text('entropy')}."
        )
        self.click(self.window.inspector.overlays.button("none"))

    def complete(self) -> None:
        """Hide the lower half of a test image and have it completed."""
        window = self.window
        window.show_complete()
        panel = window.complete
        self.wait("a test image on the canvas", lambda: panel.canvas.image() is not None, 30)
        panel.hide_part("bottom")
        self.pause(0.4)
        started = time.perf_counter()
        self.click(panel.complete_button)
        self.wait("the completions", lambda: panel.result is not None and not panel.running)
        self.picture("4-complete")
        found = panel.result
        self.say(
            f"- Completed the lower half of a test image {len(found.images)} times in {time.perf_counter() - started:.1f} s; "
            f"best log p(hidden | known) {found.log_prob.max():.2f} nats. {found.found.sentence}"
        )

    def train(self) -> None:
        """Train a small model on digits for about twenty seconds."""
        window = self.window
        window.show_train()
        panel = window.train
        panel.choices.choose_dataset("digits")
        panel.choices.choose_minutes(TRAIN_MINUTES)
        panel.start()
        self.wait("the start of training", lambda: panel.training, 30)
        self.wait("training", lambda: not panel.training, 180)
        self.picture("5-train")
        from arstudio.gui.panels.train import runs_root
        from arstudio.training.runs import list_runs

        run = list_runs(runs_root())[0]
        first, last = run.points[0], min(run.points, key=lambda p: p.validation_nats)
        self.say(
            f"- Trained {run.record['model']} ({run.record['parameters']:,} parameters) on digits for "
            f"{run.record['seconds']:.0f} s: validation {first.validation_bits_per_dim:.3f} → "
            f"{last.validation_bits_per_dim:.3f} bits/dim in {run.record['epochs_done']:.1f} epochs."
        )

    def summarise(self) -> None:
        """Write summary.md."""
        import platform

        import torch

        head = [
            "# AR Studio demo", "",
            f"{time.strftime('%Y-%m-%d %H:%M')} · {platform.machine()}, {torch.get_num_threads()} threads, "
            f"{self.window.status_line.device.text()} · {time.perf_counter() - self.started:.0f} s in all", "",
        ]
        tail = [
            "", "![Generate](1-generate.png)", "![Branch](2-branch.png)", "![Inspect](3-inspect.png)",
            "![Complete](4-complete.png)", "![Train](5-train.png)", "![The drawing](generation.gif)", "",
        ]
        (self.out / "summary.md").write_text("\n".join([*head, *self.lines, *tail]), encoding="utf-8")

    def close(self) -> None:
        """Close the window as a person would."""
        self.window.ask_before_closing = False
        self.window.close()
