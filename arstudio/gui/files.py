"""File and clipboard actions of the main window: open, recent, save, export, copy, paste."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QSettings, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog

from arstudio.gui.writing import Writer

if TYPE_CHECKING:
    from arstudio.gui.main_window import MainWindow

IMAGES = (".npz", ".npy", ".tar.gz", ".tgz", ".tar")     # files of many images; IDX files say so in their names
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")


class Files(QObject):
    """What the File and Edit menus do with files and the clipboard."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.window, self.studio = window, window.studio
        self._last_path = ""
        self._saved_to: Path | None = None
        self._saved: object = None             # the trace or canvas that was saved there
        self.beside = Writer(self.studio, self)
        self.beside.written.connect(self._remember_place)

    def open_file(self) -> None:
        """Open a model file, run or picture."""
        path, _ = QFileDialog.getOpenFileName(
            self.window, self.tr("Open"), self._last_path,
            self.tr("Models and pictures (*.safetensors *.png *.jpg *.jpeg *.gif *.bmp *.webp);;All files (*)"),
        )
        if path:
            self.open_path(Path(path))

    def open_model_file(self) -> None:
        """Open a model file."""
        path, _ = QFileDialog.getOpenFileName(self.window, self.tr("Open model"), self._last_path, "Models (*.safetensors)")
        if path:
            self.open_path(Path(path))

    def open_path(self, path: Path) -> None:
        """Open what a person chose or dropped: one of our own drawings is drawn again, any other picture goes to
        Complete (and all of them while Complete is in front, or to Train as sprite sheets while that is), a folder or
        file of images to Train, a run that is being trained elsewhere as well, and anything else is taken for a model."""
        self._last_path = str(path.parent)
        train, picture = self.window.job == "train", path.suffix.lower() in PICTURES
        if self._is_data(path) or (picture and train and path.is_file()):
            self.window.make_panels()
            self.window.show_train()
            self.window.train.offer(str(path))
        elif path.suffix.lower() == ".png" and self.window.job != "complete" and (info := self._remembered(path)):
            self.studio.restore(info)
        elif picture:
            self.window.make_panels()
            self.window.show_complete()
            self.window.complete.open_file(path)
        elif (path / "run.json").exists() and (train or self._is_written(path)):
            self.window.make_panels()
            self.window.show_train()
            self.window.train.bottom.follow(path)
        else:
            self.studio.open_model(path, turn=True)
        recent = [str(path), *[p for p in self.recent() if p != str(path)]]
        QSettings().setValue("recent", recent[:10])

    @staticmethod
    def _is_written(path: Path) -> bool:
        from arstudio.training.lock import writer_of

        return bool(writer_of(path))

    @staticmethod
    def _is_data(path: Path) -> bool:
        if path.is_dir():
            return not any((path / name).exists() for name in ("run.json", "best.safetensors"))
        return path.name.lower().endswith(IMAGES) or "idx3-ubyte" in path.name

    @staticmethod
    def _remembered(path: Path) -> dict | None:
        """How a picture of ours was drawn, None for any other."""
        from arstudio.image import ImageError
        from arstudio.sampling.export import read_info

        try:
            info = read_info(path)
        except ImageError:    # Complete says what is wrong with it
            return None
        return info if info is not None and ("recipe" in info or info.get("kind") == "sample") else None

    @staticmethod
    def recent() -> list[str]:
        """Paths opened last, newest first."""
        value = QSettings().value("recent", [])
        return [value] if isinstance(value, str) else list(value or [])

    @Slot()
    def fill_recent(self) -> None:
        """Fill File ▸ Open recent as it opens."""
        self.window.recent_menu.clear()
        for path in self.recent():
            action = self.window.recent_menu.addAction(Path(path).name)
            action.setToolTip(path)
            action.triggered.connect(lambda _=False, path=path: self.open_path(Path(path)))
        if self.window.recent_menu.isEmpty():
            self.window.recent_menu.addAction(self.tr("Nothing opened yet")).setEnabled(False)
            return
        self.window.recent_menu.addSeparator()
        clear = self.window.recent_menu.addAction(self.tr("Clear menu"))
        clear.triggered.connect(lambda: QSettings().remove("recent"))

    def save_picture(self) -> None:
        """Save where it was saved last, or ask."""
        if self._saved_to is None or self._saved is not self._shown():
            self.save_picture_as()
        else:
            self.write_picture(self._saved_to)

    def save_picture_as(self) -> None:
        """Ask where, then save."""
        if self._shown() is None:
            self._nothing_to_export()
            return
        path = self.ask(self.tr("Save image"), f"arstudio-{self.studio.settings.seed}.png", "PNG (*.png)")
        if path:
            self._saved_to = path
            self.write_picture(path)

    def write_picture(self, path: Path) -> None:
        """Write the large image, or the canvas of Complete, as it is now, as PNG."""
        from arstudio.gui.exporting import canvas_bytes, info, picture_bytes
        from arstudio.gui.widgets.pixel_view import pixels

        studio, self._saved = self.studio, self._shown()
        if self.window.job == "complete" and self.window.complete is not None:
            canvas = self.window.complete.canvas
            shown = pixels(canvas.image(), canvas.spec)    # of now: the canvas may be painted on while this is written
            self.beside.write(path, partial(canvas_bytes, shown, studio.card.name if studio.card else ""))
            return
        self.beside.write(path, partial(picture_bytes, studio.trace, studio.focus, studio.position, info(studio)))

    def _shown(self) -> object:
        if self.window.job == "complete" and self.window.complete is not None:
            return self.window.complete.canvas.sheet
        return self.studio.trace

    def export(self) -> None:
        """Everything that can leave the window, with its options."""
        if not self._nothing_to_export():
            from arstudio.gui.export_dialog import ExportDialog

            ExportDialog(self.window, self).open()

    def copy_snippet(self) -> None:
        """Put Python on the clipboard that draws the large image again."""
        if self._nothing_to_export():
            return
        from arstudio.gui.exporting import snippet

        text = snippet(self.studio)
        if text:
            QGuiApplication.clipboard().setText(text)
            self.studio.message.emit("info", self.tr("Python that draws this image again is on the clipboard."))
        else:
            self.studio.message.emit("info", self.tr("This image was not drawn here, so there is no way to draw it again."))

    def save_model_as(self) -> None:
        """Write the current model to a file."""
        if self.studio.model is None:
            self.studio.message.emit("info", self.tr("There is no model to save yet."))
            return
        path = self.ask(self.tr("Save model"), f"{self.studio.card.name}.safetensors", "Models (*.safetensors)")
        if path:
            from arstudio.gui.exporting import model_bytes

            self.beside.write(path, partial(model_bytes, self.studio.model, self.studio.card))

    def _nothing_to_export(self) -> bool:
        if self.studio.trace is None:
            self.studio.message.emit("info", self.tr("There is no picture yet: generate one first."))
            return True
        return False

    def ask(self, title: str, name: str, kind: str) -> Path | None:
        """Where to save; None if the person thought better of it."""
        path, _ = QFileDialog.getSaveFileName(self.window, title, str(Path(self._last_path) / name), kind)
        if not path:
            return None
        suffix = "." + kind.partition("*.")[2].rstrip(")")
        return Path(path) if Path(path).suffix else Path(path + suffix)

    @Slot(object)
    def _remember_place(self, path: Path) -> None:
        self._last_path = str(path.parent)

    def copy_image(self) -> None:
        """Put the shown image on the clipboard, enlarged."""
        if self.window.job == "complete" and self.window.complete is not None:
            self.window.complete.copy()
        elif not self._nothing_to_export():
            from arstudio.gui.exporting import clipboard_image

            QGuiApplication.clipboard().setImage(clipboard_image(self.studio))
            self.studio.message.emit("info", self.tr("The image is on the clipboard."))

    def paste_image(self) -> None:
        """Take a picture from the clipboard into Complete."""
        self.window.make_panels()
        self.window.show_complete()
        self.window.complete.paste()
