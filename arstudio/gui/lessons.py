"""The tour and the lessons as data: what each step says, where it points and what it does in the program.

They lie in resources/tour, a JSON file each. `teacher.py` carries them out. Words of a step may hold {bits}, {nats},
{bits_per_dim}, {p} and {differing}: figures of the drawing on the screen, put in when the step is shown.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from arstudio.resources import resource

TOUR = "tour"
LESSONS = ("chain-rule", "why-mask", "blind-spot", "temperature", "likelihood")


@dataclass(frozen=True)
class Step:
    """`point` names a part of the window (`teacher.PLACES`); `do` holds verbs of `teacher.Teacher` with their arguments."""

    title: str
    text: str
    point: str
    do: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Lesson:
    """A name, words for the list of lessons, and the steps in order."""

    name: str
    title: str
    summary: str
    steps: tuple[Step, ...]

    @property
    def models(self) -> set[str]:
        """Names of the bundled models it opens."""
        return {verb[1] for step in self.steps for verb in step.do if verb[0] == "draw"}


@cache
def lesson(name: str) -> Lesson:
    """The tour or a lesson by name. Raises FileNotFoundError with one sentence if it is not there."""
    found = json.loads(resource("tour", f"{name}.json").read_text(encoding="utf-8"))
    steps = tuple(Step(**{**step, "do": tuple(tuple(verb) for verb in step["do"])}) for step in found["steps"])
    return Lesson(name, found["title"], found["summary"], steps)
