"""Which way of drawing is the fastest for a model, a number of images and a device, and why."""

from __future__ import annotations

from dataclasses import dataclass

from arstudio.models.base import AutoregressiveModel

FEW_LEVELS = 32                   # of which a guess may come true
LONG = 16                         # pixels of a row
LONG_ROWS, SHORT_ROWS = 10, 3     # images from which guessing few levels in them no longer pays


@dataclass(frozen=True)
class Choice:
    """A method of `sampler.METHODS` and the reason for it, one sentence for people."""

    method: str
    why: str


def methods(model: AutoregressiveModel) -> tuple[str, ...]:
    """Names of the ways in which a model can be drawn where it is, without "auto"."""
    device = model.device.type
    ways = (
        ("blocks", model.in_blocks and device == "cpu"), ("wavefront", model.lag > 0 and device == "cpu"),
        ("captured", model.in_row_steps and device in ("cpu", "cuda")),
    )
    return ("incremental", *(way for way, has in ways if has), "jacobi", "naive")


def choose(model: AutoregressiveModel, count: int) -> Choice:
    """The fastest exact way to draw `count` images, from what is known before. All give the same pixels."""
    if "captured" in methods(model) and model.device.type == "cuda":
        return Choice("captured", "A row's whole step is recorded once on this device and replayed without waiting for Python.")
    if "wavefront" in methods(model) and count >= model.wave_from:
        return Choice(
            "wavefront", "This model sees so little of the rows above that pixels of many rows are drawn together, none of "
            "them guessed."
        )
    if "blocks" not in methods(model):
        return Choice("incremental", "The decoder of this model computes every feature once, one site after the other.")
    if model.spec.levels not in range(1, FEW_LEVELS + 1) and not model.wide:
        return Choice("incremental", "Guesses of so many levels hardly ever come true, so that sites are drawn one by one.")
    if count >= _blocks_below(model):
        return Choice(
            "incremental", f"With {count} images at once a site of this model costs too little for guessing to pay."
        )
    return Choice("blocks", "The decoder of this model takes many sites at once and corrects what it guessed wrong.")


def _blocks_below(model: AutoregressiveModel) -> int:
    """So many images or more are drawn as fast site by site. Of two levels a guess is mostly right; of a few more, guessing
    saves more in long rows than in short ones. Measured on the bundled models."""
    if model.spec.levels == 2 or model.wide:
        return model.binary_below
    return LONG_ROWS if model.spec.width >= LONG else SHORT_ROWS
