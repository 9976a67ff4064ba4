"""How fast every system draws, at one preset and with random weights: `benchmarks.bench_sampling` for each.

The figure to compare is ρ, seconds of a drawing in forward passes of the same batch. Site by site it cannot be less
than what D decisions cost, so a network whose pass takes a millisecond has a large ρ however fast it draws; `limit`
says for each row which part that is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from arstudio.analysis.benchmarks import BatchFigures, SamplingBenchmark, bench_sampling
from arstudio.image import ImageSpec
from arstudio.models import MODELS, create, preset_settings
from arstudio.progress import Muted, Progress


@dataclass(frozen=True)
class SystemSpeed:
    """One system: its benchmark, with a row for each batch size, and in words what limits each."""

    title: str
    figures: SamplingBenchmark
    limits: tuple[str, ...]


def bench_systems(
    spec: ImageSpec, names: Iterable[str] = (), *, preset: str = "small", batches: tuple[int, ...] = (1,),
    method: str = "auto", repeats: int = 3, affordable: float = 10.0, progress: Progress | None = None,
) -> list[SystemSpeed]:
    """Measure the systems `names`, all of them by default, with weights from seed 0, at `preset` for images of `spec`.

    Publishes the systems so far. Raises ConfigError for a system or preset that does not exist, SettingsError for a method or
    number of images that cannot be, Cancelled if stopped.
    """
    progress, names, rows = progress or Progress(), list(names) or list(MODELS), []
    for i, name in enumerate(names):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = create(name, spec, **preset_settings(name, preset)).eval()
        progress.check()
        progress.report(i / len(names), model.title)
        figures = bench_sampling(
            model, f"{model.title}, {preset}", batches=batches, method=method, repeats=repeats, affordable=affordable,
            progress=Muted(progress),
        )
        rows.append(SystemSpeed(model.title, figures, tuple(limit(row, spec.sites) for row in figures.rows)))
        progress.publish(list(rows))
    return rows


def limit(row: BatchFigures, sites: int) -> str:
    """Which part of a drawing takes most of it, in words for people."""
    site, inside = (1e6 * seconds / sites for seconds in (row.seconds, row.decoder_seconds))
    if row.rho <= 1:
        return "nothing: less than a forward pass"
    if site < inside:
        return f"passes over many sites: {site:.0f} µs a site, one by one {inside:.0f} µs for the network alone"
    if inside > site / 2:
        return f"the network: {inside:.0f} of {site:.0f} µs a site"
    return f"deciding and recording: {site - inside:.0f} of {site:.0f} µs a site"


def as_markdown(rows: Iterable[SystemSpeed]) -> str:
    """The rows as a Markdown table, one line for each system and batch size."""
    lines = [
        "| system | images | drawn by | seconds | one pass s | ρ | × naive | × floor | cache MB | what limits it |",
        "|---|---:|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for system in rows:
        for row, limited in zip(system.figures.rows, system.limits, strict=True):
            floor = "–" if row.ratio_to_floor is None else f"{row.ratio_to_floor:.0f}"
            naive = f"{row.ratio_to_naive:.0f}" + ("" if row.naive_source == "measured" else " *")
            lines.append(
                f"| {system.title} | {row.batch} | {row.method} | {row.seconds:.3f} | {row.forward_seconds:.4f} | "
                f"{row.rho:.2g} | {naive} | {floor} | {row.cache_bytes / 1e6:.2f} | "
                f"{limited} |"
            )
    return "\n".join(lines)
