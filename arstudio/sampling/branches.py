"""The futures of one drawing as a tree. A branch keeps the past of its parent up to a step; from there values a person
chose, or new noise, lead elsewhere. No branch is lost: each has a trace of its own, and drawing goes on from any.

One sampler serves the whole tree: `BranchTree.run` puts it where the current branch stands, which costs the steps that
the branch does not share with the one drawn last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from arstudio.progress import Progress
from arstudio.sampling.draw import SettingsError, noise
from arstudio.sampling.recipe import Change, Edit, Recipe, Redraw
from arstudio.sampling.sampler import Sampler, check_value
from arstudio.sampling.trace import Trace

PMF_BYTES = 160_000_000    # distributions kept by all branches together

Forced = dict[int, dict[int, float]]


@dataclass(eq=False)
class Branch:
    """One future. `step` is where it leaves its parent (0 for the first drawing), `edits` what made it leave."""

    trace: Trace
    u: np.ndarray
    forced: Forced
    name: str
    parent: Branch | None = None
    step: int = 0
    edits: tuple[Edit, ...] = ()
    children: list[Branch] = field(default_factory=list)

    def all_edits(self) -> tuple[Edit, ...]:
        """Every edit from the first drawing to this branch."""
        return (self.parent.all_edits() if self.parent else ()) + self.edits

    def walk(self) -> Iterator[Branch]:
        """This branch and all below it, parents first, children in the order they were made."""
        yield self
        for child in self.children:
            yield from child.walk()

    def first_difference(self, other: Branch, image: int) -> int | None:
        """First step at which an image differs from that of another branch, None if it does not as far as both go."""
        end = min(self.trace.cursor, other.trace.cursor)
        different = self.trace.values[image, :end] != other.trace.values[image, :end]
        return int(different.argmax()) if different.any() else None


class BranchTree:
    """`root`, the `current` branch and the `recipe` of the first drawing. `make` gives the sampler when it is needed:
    a record read from disk can be looked at without."""

    def __init__(self, recipe: Recipe, trace: Trace, make: Callable[[], Sampler], name: str = "First") -> None:
        self.recipe, self._make = replace(recipe, edits=()), make
        self.sampler: Sampler | None = None
        u, forced = noise(trace.count, trace.spec.sites, recipe.settings.seed), {}
        for edit in recipe.edits:
            u, forced = _after(u, forced, (edit,))
        self.root = self.current = Branch(trace, u, forced, name, edits=recipe.edits)
        self._made = 0

    @classmethod
    def of(cls, sampler: Sampler, recipe: Recipe, name: str = "First") -> BranchTree:
        """The tree of a sampler that has drawn nothing yet; `run` draws with all edits of the recipe at once."""
        tree = cls(recipe, sampler.trace, partial(recipe.sampler, sampler.model), name)
        tree.sampler = sampler
        sampler.take_up(tree.root.trace, tree.root.u, tree.root.forced)
        return tree

    def branches(self) -> list[Branch]:
        """All branches, parents before children."""
        return list(self.root.walk())

    def recipe_of(self, branch: Branch) -> Recipe:
        """How to draw a branch from nothing."""
        return replace(self.recipe, edits=branch.all_edits())

    def grow(self, edits: Sequence[Change] | Redraw, name: str = "") -> Branch:
        """A new branch of the current one, which becomes current; `run` draws its future.

        Raises SettingsError for a value or step that does not exist, or one that is not drawn yet.
        """
        made = (edits,) if isinstance(edits, Redraw) else tuple(sorted(edits, key=lambda c: c.step))
        parent = self.current
        trace, spec = parent.trace, parent.trace.spec
        if not made:
            raise SettingsError("Nothing was changed.")
        last = min(trace.cursor, spec.sites - 1)
        for edit in made:
            if not 0 <= edit.step <= last:
                raise SettingsError(f"Only pixels up to step {last} can be changed now, not {edit.step}.")
            if isinstance(edit, Change):
                check_value(spec, edit.value)
                if not 0 <= edit.image < trace.count:
                    raise SettingsError(f"There is no image {edit.image}: they are numbered 0 to {trace.count - 1}.")
        step, twin = made[0].step, trace.copy()
        twin.cursor = step
        u, forced = _after(parent.u, parent.forced, made)
        self._made += 1
        branch = Branch(twin, u, forced, name or f"Branch {self._made}", parent, step, made)
        parent.children.append(branch)
        self.current = branch
        self._within_bytes()
        return branch

    def walk_to(self, branch: Branch) -> None:
        """Make a branch current. Raises ValueError if it is none of this tree."""
        if branch not in self.branches():
            raise ValueError("This branch belongs to another drawing.")
        self.current = branch

    def run(self, progress: Progress | None = None) -> Sampler:
        """Draw the current branch to its end. Raises Cancelled if stopped; what is drawn stays."""
        sampler, branch = self.sampler or self._make(), self.current
        self.sampler = sampler
        if sampler.trace is not branch.trace:
            sampler.take_up(branch.trace, branch.u, branch.forced)
        sampler.run(progress)
        return sampler

    def rest(self) -> None:
        """Let the sampler go, with all that it caches; `run` makes another when it is needed again."""
        self.sampler = None

    def _within_bytes(self) -> None:
        """Let the oldest branches forget their distributions; they are computed again when asked for."""
        near = (self.current, self.current.parent)
        held = sum(branch.trace.pmfs.nbytes for branch in self.branches())
        for branch in self.branches():
            if held > PMF_BYTES and branch not in near:
                held -= branch.trace.pmfs.nbytes
                branch.trace.pmfs = branch.trace.pmfs[:0].copy()


def _after(u: np.ndarray, forced: Forced, edits: Sequence[Edit]) -> tuple[np.ndarray, Forced]:
    """Noise and forced values after edits, as `Sampler.change` and `Sampler.redraw` leave them."""
    forced = {t: dict(values) for t, values in forced.items()}
    for edit in edits:
        if isinstance(edit, Redraw):
            u = np.concatenate([u[:, :edit.step], noise(*u.shape, edit.seed)[:, edit.step:]], axis=1)
            forced = {t: values for t, values in forced.items() if t < edit.step}
            continue
        for t in [t for t in forced if t > edit.step]:
            forced[t].pop(edit.image, None)
        forced.setdefault(edit.step, {})[edit.image] = edit.value
    return u, forced
