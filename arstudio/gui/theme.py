"""Colours, icons and the style sheet: one dark and one light palette, one accent, live switching.

Painting widgets read `colours()` when they paint; after `apply` Qt repaints everything. Known, drawn, hidden and
selected have one colour each, everywhere.
"""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QRectF, QSettings, Qt
from PySide6.QtGui import QColor, QGuiApplication, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtWidgets import QApplication

from arstudio.resources import resource

if TYPE_CHECKING:
    from PySide6.QtSvg import QSvgRenderer

SCHEMES = ("auto", "dark", "light")
_FONT_SIZE = re.compile(r"font-size: (\d+)px")


@dataclass(frozen=True)
class Colours:
    """Named colours of one scheme, as #rrggbb."""

    name: str
    stage: str          # behind the picture
    panel: str          # docks, bars
    raised: str         # buttons, fields, selected rows
    hover: str
    line: str           # hairlines
    text: str           # AA contrast on all of the above, as accent and selected have on stage and panel
    dim: str            # secondary text, AA contrast on stage and panel
    accent: str         # the one accent: drawn pixels' data, primary button, focus
    on_accent: str
    selected: str       # the selected pixel and its value
    known: str          # given pixels
    good: str
    bad: str
    check_a: str        # the checkerboard of what is hidden
    check_b: str


DARK = Colours(
    "dark", stage="#17181c", panel="#1d2026", raised="#282c34", hover="#323742", line="#2d313a", text="#e8eaee",
    dim="#9aa1ad", accent="#5a9ff5", on_accent="#0b1220", selected="#f0aa3c", known="#3fb88a", good="#3fb27f",
    bad="#ef6f6c", check_a="#1d2127", check_b="#242a31",
)
LIGHT = Colours(
    "light", stage="#f3f4f7", panel="#ffffff", raised="#e9ebef", hover="#dde0e7", line="#dcdfe5", text="#1b1e24",
    dim="#626a77", accent="#1b68cb", on_accent="#ffffff", selected="#a35f00", known="#0d7a55", good="#1c7f55",
    bad="#c23b38", check_a="#eceef2", check_b="#e2e5eb",
)
_current = DARK
_type = 1.0         # times the usual size of letters


def colours() -> Colours:
    """The palette in use."""
    return _current


def colour(name: str, alpha: float = 1.0) -> QColor:
    """A named colour of the palette in use as QColor."""
    value = QColor(getattr(_current, name))
    value.setAlphaF(alpha)
    return value


def scheme() -> str:
    """What the person chose: auto, dark or light."""
    value = QSettings().value("scheme", "auto")
    return value if value in SCHEMES else "auto"


def choose(name: str) -> None:
    """Remember a scheme and apply it."""
    QSettings().setValue("scheme", name)
    apply()


def apply() -> None:
    """Put the chosen scheme on the application."""
    global _current
    name = scheme()
    if name == "auto":
        system = QGuiApplication.styleHints().colorScheme()
        name = "light" if system == Qt.ColorScheme.Light else "dark"
    _current = DARK if name == "dark" else LIGHT
    app = QApplication.instance()
    app.setPalette(_palette(_current))
    app.setStyleSheet(_FONT_SIZE.sub(lambda found: f"font-size: {px(int(found[1]))}px", _sheet(_current)))


def px(size: int) -> int:
    """A size of letters in pixels, larger in presentation mode."""
    return round(size * _type)


def set_type_size(factor: float) -> None:
    """Letters `factor` times as large as usual, everywhere at once."""
    global _type
    app = QApplication.instance()
    font = app.font()
    font.setPointSizeF(font.pointSizeF() * factor / _type)
    _type = factor
    app.setFont(font)
    apply()


def icon(name: str, role: str = "text") -> QIcon:
    """A monochrome icon of resources/icons, tinted to the palette in use and baked to pixmaps."""
    found = QIcon()
    c = _current
    for size in (18, 36):    # shown at 16 to 18 pixels, and twice that on dense screens
        found.addPixmap(_tinted(name, getattr(c, role), size), QIcon.Mode.Normal)
        found.addPixmap(_tinted(name, _mix(c.dim, c.panel), size), QIcon.Mode.Disabled)
    return found


@cache
def _tinted(name: str, tint: str, size: int) -> QPixmap:
    pixmap = QPixmap(size, size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    _drawing(name).render(painter, QRectF(0, 0, size, size))
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceIn)
    painter.fillRect(pixmap.rect(), QColor(tint))
    painter.end()
    return pixmap


@cache
def _drawing(name: str) -> QSvgRenderer:
    from PySide6.QtSvg import QSvgRenderer

    return QSvgRenderer(QByteArray(resource("icons", f"{name}.svg").read_bytes()))


def _mix(a: str, b: str) -> str:
    x, y = QColor(a), QColor(b)
    return QColor((x.red() + y.red()) // 2, (x.green() + y.green()) // 2, (x.blue() + y.blue()) // 2).name()


def _palette(c: Colours) -> QPalette:
    palette = QPalette()
    role = QPalette.ColorRole
    for target, value in (
        (role.Window, c.panel), (role.WindowText, c.text), (role.Base, c.stage), (role.AlternateBase, c.panel),
        (role.Text, c.text), (role.Button, c.raised), (role.ButtonText, c.text), (role.Highlight, c.accent),
        (role.HighlightedText, c.on_accent), (role.ToolTipBase, c.raised), (role.ToolTipText, c.text),
        (role.PlaceholderText, c.dim), (role.Link, c.accent), (role.Mid, c.line), (role.Accent, c.accent),
    ):
        palette.setColor(target, QColor(value))
    for target in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, target, QColor(_mix(c.dim, c.panel)))
    return palette


def _sheet(c: Colours) -> str:
    return f"""
    QMainWindow, QDialog {{ background: {c.panel}; }}
    QWidget#stage, QWidget#stage QStackedWidget, QScrollArea#plain, QScrollArea#plain > QWidget > QWidget
        {{ background: {c.stage}; }}
    QWidget#side {{ background: {c.panel}; }}
    QMenuBar {{ background: {c.panel}; padding: 2px 8px; }}
    QMenuBar::item {{ padding: 4px 8px; border-radius: 4px; background: transparent; }}
    QMenuBar::item:selected {{ background: {c.hover}; }}
    QMenu {{ background: {c.panel}; border: 1px solid {c.line}; padding: 4px; }}
    QMenu::item {{ padding: 5px 24px 5px 12px; border-radius: 4px; }}
    QMenu::item:selected {{ background: {c.accent}; color: {c.on_accent}; }}
    QMenu::item:disabled {{ color: {_mix(c.dim, c.panel)}; }}
    QMenu::separator {{ height: 1px; background: {c.line}; margin: 4px 8px; }}
    QToolBar {{ background: {c.panel}; border: none; border-top: 1px solid {c.line};
               border-bottom: 1px solid {c.line}; padding: 6px 10px; spacing: 6px; }}
    QStatusBar {{ background: {c.panel}; border-top: 1px solid {c.line}; color: {c.dim}; }}
    QStatusBar::item {{ border: none; }}
    QMainWindow::separator {{ background: {c.line}; width: 1px; height: 1px; }}
    QMainWindow::separator:hover {{ background: {c.accent}; }}
    QDockWidget {{ color: {c.dim}; font-size: 11px; titlebar-close-icon: url("{_asset("close", c)}");
                  titlebar-normal-icon: url("{_asset("more", c)}"); }}
    QDockWidget::title {{ background: {c.panel}; padding: 6px 12px; text-align: left; }}
    QDockWidget::close-button, QDockWidget::float-button {{ background: transparent; border: none; padding: 0; }}
    QDockWidget::close-button:hover, QDockWidget::float-button:hover {{ background: {c.hover}; border-radius: 3px; }}
    QTabBar#jobs {{ background: {c.stage}; }}
    QTabBar#jobs::tab {{ background: transparent; color: {c.dim}; padding: 10px 2px 8px 2px; margin: 0 14px 0 0;
                        border: none; border-bottom: 2px solid transparent; font-size: 13px; }}
    QTabBar#jobs::tab:selected {{ color: {c.text}; border-bottom: 2px solid {c.accent}; font-weight: 600; }}
    QTabBar#jobs::tab:hover {{ color: {c.text}; }}
    QPushButton, QToolButton {{ background: {c.raised}; color: {c.text}; border: 1px solid transparent;
                   border-radius: 6px; padding: 6px 12px; }}
    QToolButton {{ padding: 6px; }}
    QToolButton#quiet {{ padding: 2px; }}
    QToolButton#fold {{ background: transparent; color: {c.dim}; border: 1px solid transparent; padding: 4px 0;
                       font-size: 11px; font-weight: 600; letter-spacing: 1px; text-align: left; }}
    QToolButton#fold:hover {{ color: {c.text}; }}
    QToolButton#fold:focus {{ border: 1px solid {c.accent}; }}
    QToolButton#field {{ padding: 6px 22px 6px 10px; text-align: left; }}
    QToolButton#field::menu-indicator {{ image: url("{_asset("chevron-down", c)}"); width: 12px; height: 12px;
        subcontrol-origin: padding; subcontrol-position: right center; right: 6px; }}
    QToolButton#field[tight="true"] {{ padding: 4px 4px 4px 8px; font-size: 11px; }}
    QToolButton#field[tight="true"]::menu-indicator {{ subcontrol-position: right bottom; bottom: 6px; }}
    QFrame#popup {{ background: {c.panel}; border: 1px solid {c.line}; border-radius: 8px; }}
    QToolButton#unusual {{ border: 1px solid {c.accent}; }}
    QFrame#inFocus {{ background: {c.accent}; border-radius: 1px; }}
    QPushButton:checked {{ background: {c.accent}; color: {c.on_accent}; }}
    QPushButton:hover, QToolButton:hover {{ background: {c.hover}; }}
    QPushButton:focus, QToolButton:focus {{ border: 1px solid {c.accent}; }}
    QPushButton:disabled, QToolButton:disabled {{ color: {_mix(c.dim, c.panel)}; }}
    QPushButton#primary, QToolButton#primary {{ background: {c.accent}; color: {c.on_accent}; font-weight: 600; }}
    QPushButton#primary:hover, QToolButton#primary:hover {{ background: {_lighter(c.accent)}; }}
    QPushButton#primary:disabled, QToolButton#primary:disabled {{ background: {c.raised}; color: {_mix(c.dim, c.panel)}; }}
    QPushButton#quiet, QToolButton#quiet {{ background: transparent; color: {c.dim}; }}
    QPushButton#quiet:hover, QToolButton#quiet:hover {{ background: {c.hover}; color: {c.text}; }}
    QToolButton#quiet:checked {{ background: {c.hover}; color: {c.text}; border: 1px solid {c.accent}; }}
    QPushButton#link {{ background: transparent; color: {c.accent}; padding: 2px 0; text-align: left; border: none; }}
    QToolButton:checked {{ background: {c.accent}; color: {c.on_accent}; }}
    QFrame#segmented {{ background: {c.raised}; border-radius: 6px; }}
    QFrame#segmented QToolButton {{ background: transparent; color: {c.dim}; padding: 4px 3px; border-radius: 5px;
                                   margin: 2px 1px; font-size: 11px; }}
    QFrame#segmented QToolButton:checked {{ background: {c.hover}; color: {c.text}; font-weight: 600; }}
    QFrame#field {{ background: {c.raised}; border-radius: 6px; }}
    QFrame#field QLabel#stacked {{ font-size: 10px; }}
    QFrame#field QLabel {{ color: {c.dim}; background: transparent; }}
    QComboBox, QSpinBox, QDoubleSpinBox, QLineEdit {{ background: {c.raised}; color: {c.text};
        border: 1px solid transparent; border-radius: 6px; padding: 5px 8px; selection-background-color: {c.accent};
        selection-color: {c.on_accent}; }}
    QFrame#field QComboBox, QFrame#field QSpinBox, QFrame#field QDoubleSpinBox
        {{ background: transparent; padding: 4px 2px; }}
    QComboBox:focus, QSpinBox:focus, QDoubleSpinBox:focus, QLineEdit:focus {{ border: 1px solid {c.accent}; }}
    QComboBox:disabled, QSpinBox:disabled, QDoubleSpinBox:disabled, QLineEdit:disabled {{ color: {c.dim}; }}
    QComboBox::drop-down {{ border: none; width: 18px; }}
    QComboBox::down-arrow {{ image: url("{_asset("chevron-down", c)}"); width: 12px; height: 12px; }}
    QComboBox QAbstractItemView {{ background: {c.panel}; border: 1px solid {c.line}; outline: none;
        selection-background-color: {c.accent}; selection-color: {c.on_accent}; padding: 4px; }}
    QSpinBox::up-button, QSpinBox::down-button, QDoubleSpinBox::up-button, QDoubleSpinBox::down-button
        {{ width: 0; border: none; }}
    QSlider::groove:horizontal {{ height: 3px; background: {_mix(c.dim, c.panel)}; border-radius: 1px; }}
    QSlider::sub-page:horizontal {{ background: {c.accent}; border-radius: 1px; }}
    QSlider::handle:horizontal {{ background: {c.text}; width: 12px; height: 12px; margin: -5px 0; border-radius: 6px; }}
    QSlider::handle:horizontal:focus {{ background: {c.accent}; }}
    QScrollArea {{ border: none; background: transparent; }}
    QScrollBar:vertical {{ background: transparent; width: 10px; margin: 0; }}
    QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 0; }}
    QScrollBar::handle {{ background: {c.hover}; border-radius: 4px; min-height: 24px; min-width: 24px; margin: 2px; }}
    QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page
        {{ background: transparent; border: none; width: 0; height: 0; }}
    QPlainTextEdit#code {{ background: {c.stage}; border: 1px solid {c.line}; border-radius: 6px; padding: 8px;
        font-family: "JetBrains Mono", "Cascadia Mono", "Menlo", "DejaVu Sans Mono", monospace; font-size: 11px; }}
    QLabel#section {{ color: {c.dim}; font-size: 11px; font-weight: 600; letter-spacing: 1px; }}
    QLabel#dim {{ color: {c.dim}; }}
    QLabel#small {{ color: {c.dim}; font-size: 11px; }}
    QLabel#title {{ font-size: 15px; font-weight: 600; }}
    QLabel#headline {{ font-size: 18px; font-weight: 600; }}
    QLabel#formula {{ font-family: "STIX Two Text", "Cambria", "Times New Roman", "DejaVu Serif", serif; font-size: 14px; }}
    QLabel#value {{ color: {c.text}; }}
    QLabel#strong {{ color: {c.text}; font-weight: 600; }}
    QLabel#selectedValue {{ color: {c.selected}; font-weight: 700; }}
    QToolTip {{ background: {c.raised}; color: {c.text}; border: 1px solid {c.line}; padding: 4px 6px; }}
    QTableWidget, QTreeWidget, QListView {{ background: transparent; border: none; gridline-color: {c.line};
        outline: none; }}
    QHeaderView::section {{ background: transparent; color: {c.dim}; border: none; padding: 4px 8px; font-size: 11px; }}
    QTableWidget::item {{ padding: 4px 8px; }}
    QTableWidget::item:selected {{ background: {c.raised}; color: {c.text}; }}
    QDialogButtonBox, QMessageBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
    QFrame#coach {{ background: {c.raised}; border: 1px solid {c.accent}; border-radius: 8px; }}
    QFrame#coach QLabel {{ background: transparent; }}
    QFrame#notice {{ background: {c.raised}; border-left: 3px solid {c.accent}; border-radius: 4px; }}
    QFrame#notice[kind="error"] {{ border-left: 3px solid {c.bad}; }}
    """


@cache
def _asset(name: str, c: Colours) -> str:
    """Path of a tinted copy of an icon for the style sheet, which cannot tint by itself."""
    folder = Path(tempfile.mkdtemp(prefix="arstudio-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / f"{name}-{c.name}.svg"
    path.write_text(resource("icons", f"{name}.svg").read_text().replace("#000000", c.dim).replace("#000", c.dim))
    return path.as_posix()


def _lighter(value: str) -> str:
    return QColor(value).lighter(112).name()
