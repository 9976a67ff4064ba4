"""Photograph every panel of the real window: 1280×800 in dark and light, and 1024×700. Offscreen, about two minutes.

    python packaging/screenshots.py [DIR]          # default: packaging/screenshots
    python packaging/screenshots.py --every DIR    # besides, every map and every step of the tour and the lessons, and in
                                                   # DIR/200 all of it at twice the scale, dark; ten minutes, 60 MB
    python packaging/screenshots.py --lessons DIR  # the tour and the lessons only

The pictures in the README are made by this script on bundled models; nothing in them is drawn by hand.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
SCALE = "QT_SCALE_FACTOR"


def main() -> None:
    """Drive the window and save the pictures."""
    asked = argparse.ArgumentParser()
    asked.add_argument("target", type=Path, nargs="?", default=Path(__file__).parent / "screenshots")
    asked.add_argument("--every", action="store_true")
    asked.add_argument("--lessons", action="store_true")
    given = asked.parse_args()
    target = given.target
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as private:
        from arstudio.gui.app import make_application, private_settings

        private_settings(private)
        make_application()
        camera = Camera(target, every=given.every)
        if given.lessons:
            camera.teach()
        else:
            camera.run()
    if given.lessons or os.environ.get(SCALE):
        return
    if given.every:
        again = [sys.executable, __file__, "--every", str(target / "200")]
        subprocess.run(again, env={**os.environ, SCALE: "2"}, check=True)
    for name in ("fashion-gated", "emoji-gated", "mnist-gated", "digits-gated"):
        samples(name, target)


def samples(name: str, target: Path) -> None:
    """Thirty drawings of a bundled model from seed 0, one class a column: no picking."""
    from arstudio.image import grid
    from arstudio.models import load_model
    from arstudio.sampling import SampleSettings, sample
    from arstudio.sampling.sampler import balanced_classes

    model, _ = load_model(name)
    trace = sample(model, 30, SampleSettings(seed=0), balanced_classes(model.num_classes, 30))
    scale = 56 // model.spec.width
    grid(trace.images(), model.spec, columns=10, scale=scale).save(target / f"samples-{name}.png", optimize=True)


class Camera:
    """The window and what it takes to photograph it."""

    def __init__(self, target: Path, *, every: bool) -> None:
        from arstudio.gui.demo import Tour
        from arstudio.gui.main_window import MainWindow
        from arstudio.gui.studio import Studio

        self.target, self.every = target, every
        self.window = MainWindow(Studio())
        self.studio = self.window.studio
        self.tour = Tour(self.window, target)

    def photograph(self, name: str) -> None:
        """Dark, light, and small; at another scale dark only."""
        window = self.window
        for scheme in ("dark", "light") if not os.environ.get(SCALE) else ("dark",):
            window.choose_theme(scheme)
            window.resize(1280, 800)
            window.reset_layout()
            self.tour.pause(0.4)
            window.grab().save(str(self.target / f"{name}-{scheme}.png"))
        if os.environ.get(SCALE):
            return
        window.resize(1024, 700)
        window.reset_layout()
        self.tour.pause(0.4)
        window.grab().save(str(self.target / f"{name}-1024x700.png"))
        window.resize(1280, 800)
        window.reset_layout()

    def start(self) -> None:
        """Until the first drawing is there."""
        self.window.show()
        self.window.complete_start()
        self.tour.wait("the first drawing", self.tour.drawn)

    def teach(self) -> None:
        """Every step of the tour and the lessons."""
        from arstudio.gui.lessons import LESSONS, TOUR

        self.start()
        self.lessons((TOUR, *LESSONS))
        self.window.close()

    def lessons(self, names: tuple[str, ...]) -> None:
        """Step through lessons, each step photographed when all it does is done."""
        teacher, tour = self.window.teacher, self.tour
        for name in names:
            teacher.begin_named(name)
            while teacher.lesson is not None:
                tour.wait(f"step {teacher.index + 1} of {name}", lambda: not teacher.busy)
                self.photograph(f"lesson-{name}-{teacher.index + 1}")
                teacher.next()

    def run(self) -> None:
        """Every panel."""
        window, studio, tour = self.window, self.studio, self.tour
        self.start()
        spec = studio.trace.spec
        studio.seek(int(spec.sites * 0.55))
        studio.select((0, spec.height // 2 - 2, spec.width // 2))
        self.photograph("generate")
        studio.seek(spec.sites)
        self.futures()
        self.inspect()
        self.complete()
        self.train()
        if self.every:
            from arstudio.gui.lessons import LESSONS, TOUR

            window.show_generate()
            window.presentation.toggle()
            tour.pause(0.4)
            window.grab().save(str(self.target / "presentation.png"))
            window.presentation.toggle()
            self.lessons((TOUR, *LESSONS))
        window.close()

    def train(self) -> None:
        """Own images, a dataset to be fetched, two trainings, one of them under way, and both compared."""
        from arstudio.data import load
        from arstudio.image import to_pil

        window, tour = self.window, self.tour
        window.show_train()
        panel, choices = window.train, window.train.choices
        tour.wait("the cost", lambda: panel.probed is not None and panel.probed.sees is not None)
        self.photograph("train-empty")
        emoji = load("emoji")
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "icons"
            folder.mkdir()
            for i, x in enumerate(emoji.train.x[:400]):
                to_pil(x, emoji.spec).save(folder / f"{i:03}.png")
            (folder / "readme.txt").write_text("no picture")
            panel.offer(str(folder))
            tour.wait("the images", lambda: panel.images.data is not None and not panel.images.busy)
            self.photograph("train-images")
            panel.images.leave()
        panel.offer("kmnist")
        tour.wait("the offer", panel.images.state.isVisible)
        self.photograph("train-fetch")
        panel.images.leave()
        choices.choose_dataset("digits")
        for model, minutes in (("nade", 0.3), ("gated_pixelcnn", 0.7)):
            choices.model.setCurrentIndex(choices.model.findData(model))
            choices.choose_minutes(minutes)
            tour.wait("the cost", lambda model=model: panel.probed is not None and panel.probed.model == model
                      and panel.probed.sees is not None and not panel.probe.busy)
            panel.start()
            if model == "nade":
                tour.wait("its end", lambda: not panel.training, 180)
                continue
            tour.wait("a curve", lambda: panel.session is not None and panel.session.live is not None
                      and panel.session.live.fraction > 0.6, 180)
        panel.session.trainer.change_rate(0.001)
        tour.wait("the change", lambda: bool(panel.session.live.notes))
        self.photograph("train")
        tour.wait("the end", lambda: not panel.training, 180)
        from arstudio.training.runs import Remarks

        paths = [row.path for row in panel.bottom.rows()]
        panel.bottom.remarked.emit(paths[-1], Remarks("first try", ("digits",)))
        panel.bottom.select(*paths)
        panel.bottom.compared.emit(paths)
        window.notice.hide()
        self.photograph("train-compare")
        panel.bottom.verbs["differences"].trigger()
        tour.pause(0.4)
        from arstudio.gui.panels.train_exports import DifferencesDialog

        dialog = panel.bottom.findChild(DifferencesDialog)
        dialog.grab().save(str(self.target / "train-differences.png"))
        dialog.reject()

    def futures(self) -> None:
        """Three branches of a drawing, two of them side by side, then four lanes on one seed; back to one drawing."""
        studio, tour = self.studio, self.tour
        first, pixel = studio.trace, studio.selection
        for site, value in ((pixel, studio.trace.spec.top), ((0, 5, 10), 0)):
            studio.walk_to(studio.tree.root)
            studio.branch(studio.trace.step(*site), value)
            tour.wait("the branch", tour.drawn)
        studio.rename_branch(studio.tree.current, "dark collar")
        studio.toggle_mark(first.spec.pixels // 4)
        studio.seek(int(first.spec.sites * 0.8))
        self.photograph("branches")
        studio.compare(True)
        lanes = studio.comparison
        for _ in range(2):
            tour.wait("the lanes", lambda: lanes.ready and tour.drawn())
            lanes.add()
        tour.wait("the lanes", lambda: lanes.ready and tour.drawn())
        self.photograph("compare")
        studio.compare(False)
        tour.wait("the drawing", lambda: studio.trace.count > 1 and tour.drawn())

    def inspect(self) -> None:
        """Maps on the image, and a past pixel that might have been different."""
        window, studio, tour, inspector = self.window, self.studio, self.tour, self.window.inspector
        more = ("entropy", "argmax", "expectation") if self.every else ()
        for key in ("surprise", *more, "error", "sees", "depends"):
            tour.click(inspector.overlays.button(key))
            tour.wait(f"the map of {key}", lambda: window.generate_panel.view._overlay is not None and not inspector.maps.busy)
            self.photograph(f"inspect-{key}")
        tour.click(inspector.overlays.button("none"))
        past, (_, row, column) = inspector.past, studio.selection
        tour.click(past.view, past.view.rect_of(row - 1, column).center())
        past.slider.setValue(0 if past.slider.value() > past.slider.maximum() / 2 else past.slider.maximum())
        tour.wait("what if", lambda: inspector.plot.ghost() is not None)
        inspector.show_section(inspector.fold_past)
        self.photograph("inspect-what-if")

    def complete(self) -> None:
        """Completions by particles, a picture being fitted, and a sketch the model continues."""
        window, studio, tour = self.window, self.studio, self.tour
        window.show_complete()
        panel = window.complete
        tour.wait("a test image", lambda: panel.canvas.image() is not None)
        panel.hide_part("blob")
        panel.complete()
        tour.wait("the completions", lambda: panel.result is not None and not panel.running)
        self.photograph("complete")
        panel.open_file(Path(__file__).parent / "icons" / "arstudio-256.png")
        tour.wait("the page that fits it", lambda: panel.fitting.incoming is not None)
        self.photograph("complete-fit")
        panel.cancel()
        if self.every:
            self.hard_to_complete()
        studio.open_model("mnist-gated")
        tour.wait("the model", lambda: panel.canvas.spec.levels == 2)
        studio.set(class_index=7)
        tour.click(panel.page.as_class)
        panel.new_blank()
        panel.canvas.use((6, 8), (5, 19))
        panel.canvas.use((5, 19), (14, 14))
        tour.click(panel.page.live)
        tour.wait("a continuation", lambda: panel.canvas.haunted and not panel.running)
        window.notice.hide()
        self.photograph("complete-sketch")
        tour.click(panel.page.live)

    def hard_to_complete(self) -> None:
        """A printer's picture of other proportions being fitted, and a run that was stopped half-way."""
        from PIL import Image

        panel, tour = self.window.complete, self.tour
        with tempfile.TemporaryDirectory() as place:
            photo = Path(place) / "poster.jpg"
            icon = Image.open(Path(__file__).parent / "icons" / "arstudio-256.png").convert("RGB")
            icon.resize((900, 300)).convert("CMYK").save(photo)
            panel.open_file(photo)
            tour.wait("the page that fits it", lambda: panel.fitting.incoming is not None)
            self.photograph("complete-fit-cmyk")
            panel.cancel()
        panel.hide_part("top")
        panel.complete()
        tour.wait("a part of it", lambda: panel.run.trace is not None and panel.run.trace.cursor > 100)
        panel.cancel()
        tour.wait("the stop", lambda: not panel.running)
        self.photograph("complete-stopped")


if __name__ == "__main__":
    main()
