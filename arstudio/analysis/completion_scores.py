"""How well a model completes: −log p(hidden | observed) of test images under fixed, seeded masks, for each method.

    clamp        −Σ log p(x_t | x_<t) over hidden sites: what clamping gives them, blind to what comes later
    exact        −log p(hidden | observed), known sites first
    particles    −log p(x) + log Ẑ for each number of particles; too small on average until there are enough of them, so
                 a curve that still rises has not arrived. `at_most` is the other side, −log p(x) + log Ẑ with a particle
                 pinned to x (`sampling/completion/pinned.py`): on average no less than −log q(x) of the drawing by so many
                 particles itself, which is what compares fairly with clamping

Image i has mask i: the presets are the same for all, `blob` and `random:SHARE` follow the seed i. Times are for a whole
completion of one image, eight drawings; the peak is that of the process while a row was measured.
"""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch

from arstudio.analysis.peak import forget_peak, peak_bytes
from arstudio.models.base import AutoregressiveModel
from arstudio.progress import Muted, Progress
from arstudio.sampling import SampleSettings
from arstudio.sampling.completion import (
    Completer,
    ParticleSettings,
    PinnedParticles,
    completion_sampler,
    exact_model,
    hidden_log_prob,
    ignored_pixels,
    preset_mask,
)

DRAWN = 8    # completions that are drawn and timed
CURVE = (16, 64, 256, 1024)


@dataclass(frozen=True)
class Score:
    """One mask and method: the mean over `images` of −log p(hidden | observed), ± its standard error; `at_most` for particles
    the mean bound on −log q(x) of drawing by one population of them. `gain` is by how much that (for exact, `nats`) is below
    clamping, ± the standard error of the mean of these differences. `hidden_sites` is the mean over images, `effective` that of
    the lowest effective number of particles of each. `spread` is the mean standard deviation of log Ẑ over
    repeats. All NaN where there is none. Seconds an image, wall and processor, without the bound; `peak_mb` of the process."""

    mask: str
    method: str
    particles: int
    images: int
    hidden_sites: float
    nats: float
    stderr: float
    bits_per_site: float
    at_most: float
    gain: float
    gain_stderr: float
    spread: float
    effective: float
    seconds: float
    cpu_seconds: float
    peak_mb: float


def score(
    model: AutoregressiveModel, x: np.ndarray, y: np.ndarray | None, masks: Sequence[str], *,
    curve: Sequence[int] = CURVE, repeats: int = 1, moves: int = 0, methods: Sequence[str] = ("clamp", "exact", "particles"),
    bound: bool = True, seed: int = 0, progress: Progress | None = None,
) -> list[Score]:
    """Score every mask by every method that `methods` names and the model has, on images x (N, C, H, W) of classes y (N,).

    `exact` is left out where a model of one order has no exact way, and `particles` where the model has an exact way for
    every mask. `bound` asks for `at_most`, which takes as long again; with moves there is none.
    Publishes the rows so far. Raises ImageError, SettingsError or SpecMismatch with one sentence, Cancelled if stopped.
    """
    progress, rows = progress or Progress(), []
    spec = model.spec
    known = {mask: [~preset_mask(mask, spec.height, spec.width, seed=i) for i in range(len(x))] for mask in masks}
    jobs: list[tuple[str, str, int]] = []
    for mask in masks:
        ignored = max(ignored_pixels(model, part) for part in known[mask])
        ways = {
            "clamp": [0], "exact": [0] if model.any_order or not ignored else [],
            "particles": [] if model.any_order else list(curve),
        }
        jobs += [(mask, method, n) for method in methods for n in ways[method]]
    for done, (mask, method, n) in enumerate(jobs):
        progress.report(done / len(jobs), f"{mask}, {method}{f' {n}' if n else ''}")
        particles = ParticleSettings(particles=n or 2, repeats=repeats, moves=moves)
        rows.append(_row(model, x, y, mask, known[mask], method, particles, bound, seed, progress))
        progress.publish(list(rows))
    progress.report(1.0, f"{len(jobs)} rows")
    return rows


def _row(
    model: AutoregressiveModel, x: np.ndarray, y: np.ndarray | None, mask: str, known: Sequence[np.ndarray], method: str,
    particles: ParticleSettings, bound: bool, seed: int, progress: Progress,
) -> Score:
    nats, at_most, clamped = (np.full(len(x), math.nan) for _ in range(3))
    spreads, effective = [], []
    wall = cpu = peak = 0.0
    forget_peak()
    for i, image in enumerate(x):
        progress.check()
        given = None if y is None else int(y[i])
        started, before = time.perf_counter(), time.process_time()
        work = completion_sampler(
            model, image, known[i], DRAWN, SampleSettings(seed=seed + i), given, method=method, particles=particles
        )
        work.run(Muted(progress))
        found = work.finish()
        wall, cpu = wall + time.perf_counter() - started, cpu + time.process_time() - before
        clamped[i] = -hidden_log_prob(model, image[None], known[i], given)[0]
        if found.population is None:
            ordered = model if method == "clamp" else exact_model(model, known[i])
            nats[i] = clamped[i] if ordered is model else -hidden_log_prob(ordered, image[None], known[i], given)[0]
            at_most[i] = nats[i] if method == "exact" else math.nan
        else:
            joint = log_joint(work, image, given)
            nats[i] = found.population.log_evidence - joint
            spreads.append(found.population.spread)
            effective.append(found.population.effective)
            peak = max(peak, peak_bytes())
            work = None    # its particles go before others come
            if bound and not particles.moves:
                pinned = PinnedParticles(model, image, known[i], 1, SampleSettings(seed=seed + i), given, particles=particles)
                pinned.run(Muted(progress))
                at_most[i] = pinned.log_evidence().mean() - joint
                forget_peak()
    hidden, gains = float(np.mean([(~part).sum() for part in known])) * model.spec.channels, clamped - at_most
    return Score(
        mask, method, particles.particles * (method == "particles"), len(x), hidden, float(nats.mean()), _stderr(nats),
        float(nats.mean()) / hidden / math.log(2), float(at_most.mean()) if method == "particles" else math.nan,
        float(gains.mean()), _stderr(gains), float(np.mean(spreads)) if spreads and particles.repeats > 1 else math.nan,
        float(np.mean(effective)) if effective else math.nan, wall / len(x), cpu / len(x),
        (peak or peak_bytes()) / 2**20,
    )


def _stderr(values: np.ndarray) -> float:
    """Standard error of the mean of (N,) values; NaN for a single one."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


@torch.inference_mode()
def log_joint(work: Completer, image: np.ndarray, y: int | None) -> float:
    """log p(x) in nats under the model and order of a completer."""
    return float(work.model.log_prob(torch.from_numpy(image[None]).to(work.model.device), y)[0])


def csv_text(rows: Iterable[Score]) -> str:
    """The rows as CSV with a header; NaN is left empty."""
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow([field.name for field in fields(Score)])
    for row in rows:
        table.writerow(["" if isinstance(v, float) and math.isnan(v) else v for v in asdict(row).values()])
    return text.getvalue()


def as_markdown(rows: Iterable[Score]) -> str:
    """The rows as a Markdown table."""
    head = "mask", "method", "nats", "bits/hidden site", "at most", "gain", "effective", "s/image", "processor s", "peak MB"
    lines = [f"| {' | '.join(head)} |", f"|---|---|{'---:|' * (len(head) - 2)}"]
    for row in rows:
        method = f"{row.particles:,} particles" if row.particles else row.method
        few = f"{row.effective:.0f}" if row.particles else ""
        most = "" if math.isnan(row.at_most) else f"{row.at_most:.2f}"
        gain = "" if math.isnan(row.gain) else f"{row.gain:.2f} ± {row.gain_stderr:.2f}"
        lines.append(
            f"| {row.mask} | {method} | {row.nats:.2f} ± {row.stderr:.2f} | {row.bits_per_site:.4f} | {most} | "
            f"{gain} | {few} | {row.seconds:.2f} | {row.cpu_seconds:.2f} | {row.peak_mb:.0f} |"
        )
    return "\n".join(lines)


def plot(rows: Sequence[Score], title: str = "") -> Any:
    """Nats over the number of particles, a curve for each mask, against those of clamping where there are any; clamping at the
    left, `at_most` thin, exact as a dashed line. A Pillow image, 900×540. Its text is ASCII, as the font that comes with Pillow
    lacks other signs."""
    from PIL import Image, ImageDraw, ImageFont

    from arstudio.image import colour_map

    width, height, left, right, top, bottom = 900, 540, 70, 190, 50, 60
    page = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(13)
    masks = list(dict.fromkeys(row.mask for row in rows))
    zero = {row.mask: row.nats for row in rows if row.method == "clamp"}
    values = [nats - zero.get(row.mask, 0.0) for row in rows for nats in (row.nats, row.at_most) if not math.isnan(nats)]
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.1
    low, high = low - margin, high + margin
    counts = sorted({row.particles for row in rows if row.particles}) or [1]
    columns = [0, *counts]

    def place(particles: int, nats: float) -> tuple[float, float]:
        across = columns.index(particles) / max(1, len(columns) - 1)
        return left + across * (width - left - right), top + (high - nats) / (high - low) * (height - top - bottom)

    for k in range(5):
        nats = low + (high - low) * k / 4
        y = place(0, nats)[1]
        draw.line((left, y, width - right, y), fill=(225, 225, 225))
        draw.text((left - 8, y), f"{nats:.1f}", (90, 90, 90), font, anchor="rm")
    for n in columns:
        draw.text((place(n, low)[0], height - bottom + 8), f"{n:,}" if n else "clamp", (90, 90, 90), font, anchor="mt")
    draw.text((left, 14), title or "-log p(hidden | observed), nats", (30, 30, 30), ImageFont.load_default(16))
    draw.text(((left + width - right) / 2, height - 14), "particles", (90, 90, 90), font, anchor="mb")
    colours = [tuple(int(c) for c in colour) for colour in colour_map(np.linspace(0.0, 0.85, len(masks)))]
    for i, (mask, colour) in enumerate(zip(masks, colours, strict=True)):
        mine = sorted((r for r in rows if r.mask == mask and r.method != "exact"), key=lambda r: r.particles)
        base = zero.get(mask, 0.0)
        most = [place(r.particles, r.at_most - base) for r in mine if not math.isnan(r.at_most)]
        if len(most) > 1:
            draw.line(most, fill=tuple((c + 255) // 2 for c in colour), width=1)
        points = [place(r.particles, r.nats - base) for r in mine]
        if len(points) > 1:
            draw.line(points, fill=colour, width=2)
        for x, y in points:
            draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour)
        for row in (r for r in rows if r.mask == mask and r.method == "exact"):
            y = place(0, row.nats - base)[1]
            for x in range(left, width - right, 12):
                draw.line((x, y, x + 6, y), fill=colour, width=2)
        y = top + 22 * i
        draw.rectangle((width - right + 20, y, width - right + 34, y + 12), fill=colour)
        draw.text((width - right + 42, y + 6), mask, (30, 30, 30), font, anchor="lm")
    said = [("thin: at most", any(not math.isnan(row.at_most) for row in rows))]
    said += [("dashed: exact", any(row.method == "exact" for row in rows))]
    for k, words in enumerate(words for words, there in said if there):
        draw.text((width - right + 20, top + 22 * (len(masks) + k) + 8), words, (90, 90, 90), font, anchor="lm")
    return page
