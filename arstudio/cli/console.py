"""What all commands share: progress bars and tables, JSON, one sentence for every error, and Ctrl-C.

An error that a person can act on has a class of our own (ImageError, ModelFileError, …) or is an OSError; it
becomes one sentence on stderr and exit code 2. Anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from typer.core import TyperGroup

from arstudio.image import ImageError
from arstudio.progress import Cancelled, Progress

if TYPE_CHECKING:
    from types import FrameType

    from arstudio.models.base import AutoregressiveModel
    from arstudio.models.modelfile import ModelCard

STOPPED = 130
Found = TypeVar("Found")
_ERRORS = {
    "arstudio.image": ("ImageError",),
    "arstudio.data.views": ("DatasetError",),
    "arstudio.models.base": ("ConfigError", "ClassRequired"),
    "arstudio.models.modelfile": ("ModelFileError",),
    "arstudio.training.runs": ("RunError",),
    "arstudio.sampling.draw": ("SettingsError",),
}
_UsageError = typer.BadParameter.__bases__[0]  # click's own, or typer's copy of it in newer versions


class UsageSentence(ImageError):
    """Options that do not make a command together; the message says what to write."""


class Commands(TyperGroup):
    """A group of commands that answers mistakes with one sentence and Ctrl-C with a quiet stop."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, Cancelled):
            say("Stopped.")
            raise typer.Exit(STOPPED) from None

    def main(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["standalone_mode"] = False
        warnings.filterwarnings("ignore", "Image size")    # Pillow's; `open_picture` says it in one sentence
        try:
            code = super().main(*args, **kwargs)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of a pipe went away
            code = 1
        except Exception as error:
            text = explain(error)
            if text is None:
                raise
            say(text)
            code = 2
        sys.exit(code if isinstance(code, int) else 0)


def explain(error: BaseException) -> str | None:
    """The sentence a person gets for an error, or None for a bug. Rooms not loaded yet cannot have raised
    anything."""
    ours = tuple(
        getattr(sys.modules[m], name) for m, names in _ERRORS.items() if m in sys.modules for name in names
    )
    if isinstance(error, _UsageError):
        where = getattr(getattr(error, "ctx", None), "command_path", "arstudio")
        return f"{_sentence(error.format_message())} See {where} --help."
    if isinstance(error, ours):
        return _sentence(str(error))
    if isinstance(error, FileExistsError) and error.filename:
        return f"{error.filename} is a file, and a folder of that name is needed; give another name."
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return _sentence(f"{error.filename} cannot be used ({reason})" if error.filename else reason)
    no_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if no_memory or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error)):
        return "There is not enough memory for this; ask for fewer images at once, a smaller batch or model."
    return None


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "?", "!")) else f"{text}."


def say(text: str) -> None:
    """A sentence on stderr."""
    typer.echo(text, err=True)


def show(value: Any) -> None:
    """Print a result as JSON on stdout: dataclasses become objects, NaN and infinity null."""
    ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
    print(to_json(value, ascii_only=ascii_only))


def to_json(value: Any, *, ascii_only: bool = False) -> str:
    """A result as JSON text; see `show`."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=ascii_only, allow_nan=False)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):  # NumPy arrays and numbers
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def tables() -> Console:
    """A console on stdout for tables; made when needed, so that it writes where stdout is then."""
    return Console(highlight=False, soft_wrap=False)


class Bar(Progress):
    """A progress bar on stderr while a terminal is watching; silent otherwise. `partial` is the newest partial result."""

    partial: Any = None

    def __enter__(self) -> Bar:
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichBar

        console = Console(stderr=True)
        self._bar = RichBar(
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task("", total=1.0)
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def report(self, fraction: float | None, text: str = "") -> None:
        """See `Progress`; an unknown fraction makes the bar pulse."""
        if fraction is None:
            self._bar.update(self._task, total=None, description=text)
        else:
            self._bar.update(self._task, total=1.0, completed=fraction, description=text)

    def publish(self, partial: Any) -> None:
        """See `Progress`."""
        self.partial = partial


class StoppableBar(Bar):
    """A bar under which Ctrl-C asks the work to stop at the next safe place; a second Ctrl-C stops at
    once."""

    def __enter__(self) -> StoppableBar:
        super().__enter__()
        self._stop = False
        self._before = signal.signal(signal.SIGINT, self._interrupted)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)
        super().__exit__()

    def cancelled(self) -> bool:
        """True after Ctrl-C."""
        return self._stop

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self._stop:
            raise KeyboardInterrupt
        self._stop = True
        os.write(
            2, b"Stopping at the next safe place; Ctrl-C again stops at once.\n"
        )  # safe inside a handler


def measured(work: Callable[[Progress], Found]) -> tuple[Found, bool]:
    """What work under a bar found, and whether Ctrl-C stopped it: then that is what it had published. Raises Cancelled or
    KeyboardInterrupt where that was nothing yet."""
    with Bar() as bar:
        try:
            return work(bar), False
        except (Cancelled, KeyboardInterrupt):
            if bar.partial is None:
                raise
            return bar.partial, True


def leave_stopped(kept: str) -> NoReturn:
    """End a command that Ctrl-C stopped, saying what it was that could be kept."""
    say(f"Stopped by Ctrl-C; {kept}.")
    raise typer.Exit(STOPPED)


def open_model(which: str, device: str = "cpu") -> tuple[AutoregressiveModel, ModelCard]:
    """A bundled name, model file or run directory -> model and card. Raises ModelFileError or RunError."""
    from arstudio.models import load_frozen
    from arstudio.training.setup import pick_device

    return load_frozen(which, pick_device(device))


def class_index(card: ModelCard, text: str | None) -> int | None:
    """A class given by name or number -> its index; None without one, and for "none" unless a class is called so.
    Raises ConfigError naming the classes."""
    from arstudio.models import ConfigError

    if text is None or (text.strip().casefold() == "none" and "none" not in map(str.casefold, card.class_names)):
        return None
    if not card.num_classes:
        raise ConfigError(
            f"{card.name} was trained without classes, so it cannot be asked for class {text!r}; leave out --class."
        )
    names = [card.class_name(i) for i in range(card.num_classes)]
    folded = [name.casefold() for name in names]
    if text.strip().casefold() in folded:
        return folded.index(text.strip().casefold())
    if text.strip().isdecimal() and int(text) < len(names):
        return int(text)
    listing = ", ".join(name if name == str(i) else f"{name} ({i})" for i, name in enumerate(names))
    raise ConfigError(f"There is no class {text!r}; {card.name} knows {listing} and none.")


def destination_folder(path: Path) -> None:
    """Check before long work that a folder is there or can be made, and written into; makes nothing. Raises OSError."""
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not there.is_dir():
        raise FileExistsError(errno.EEXIST, "File exists", str(there))
    if not os.access(there, os.W_OK):
        raise PermissionError(errno.EACCES, f"The folder {there} is read-only, so nothing can be written into {path}")


@contextmanager
def folder_made(path: Path) -> Iterator[None]:
    """The folder, made where it is not there; what was made goes again if nothing came into it."""
    made = [place for place in (path, *path.parents) if not place.exists()]
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):    # that some of it was written
            for place in made:
                place.rmdir()
        raise


def destination(path: Path, suffix: str) -> None:
    """Check before long work that a file can be written there. Raises UsageSentence or OSError with one
    sentence."""
    if path.suffix.lower() != suffix:
        raise UsageSentence(f"{path} must be named like a {suffix} file, which is what will be written.")
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, f"{path} is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"There is no folder {path.parent} to write {path.name} into")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(
            errno.EACCES, f"The folder {path.parent} is read-only, so {path.name} cannot be written"
        )
