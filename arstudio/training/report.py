"""One page about a run that stands by itself: figures, curve, samples, where images are hard, settings. No torch here.

The page is one HTML file with everything inside; it loads nothing and runs nothing.
"""

from __future__ import annotations

import base64
import html
import io
import math

import numpy as np

from arstudio.image import ImageError, ImageSpec, colour_map
from arstudio.models.modelfile import TITLES
from arstudio.training.differences import settings_of
from arstudio.training.runs import Run, RunError

STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:820px;margin:40px auto;padding:0 20px}
body{color:#1b1e24;background:#fff}
h1{font-size:24px;margin:0}h2{font-size:16px;margin:32px 0 8px}p{margin:4px 0}table{border-collapse:collapse}
td{padding:2px 24px 2px 0;vertical-align:top}td:first-child{color:#5c6370}img{image-rendering:pixelated;max-width:100%}
code{font:13px monospace;word-break:break-all}figure{margin:0}svg text{font:11px system-ui,sans-serif;fill:#5c6370}
.film{display:flex;flex-wrap:wrap;gap:16px}figcaption{color:#5c6370;font-size:13px}"""
WIDTH, HEIGHT, LEFT, BOTTOM = 780, 300, 52, 28
DASHED = {"uniform": "#8a919e", "histogram": "#b7791f", "gzip": "#009e73", "PNG": "#cc79a7"}
SAMPLES = 8      # sheets shown at most


def report_html(run: Run) -> str:
    """A run as a page. Raises RunError if its record does not say what images it is about."""
    record = run.record
    try:
        spec = ImageSpec(**record["spec"])
    except (KeyError, TypeError, ImageError):
        raise RunError(f"{run.path} has a damaged run.json, so there is nothing to report.") from None
    remarks, title = run.remarks(), TITLES.get(str(record.get("model")), str(record.get("model")))
    parts = [f"<h1>{_safe(run.path.name)}</h1>", f"<p>{_safe(title)} on {_safe(record.get('dataset', '?'))}, {_safe(spec)}</p>"]
    if remarks.tags:
        parts.append("<p>" + " ".join(f"#{_safe(tag)}" for tag in remarks.tags) + "</p>")
    if remarks.notes:
        parts.append(f"<p>{_safe(remarks.notes)}</p>")
    parts += ["<h2>Figures</h2>", _table(_figures(run, spec))]
    if run.points:
        parts += ["<h2>Learning curve</h2>", _curve(run, spec)]
    parts += _pictures(run)
    if record.get("notes"):
        parts += ["<h2>On the way</h2>", *(f"<p>{_safe(note)}</p>" for note in record["notes"])]
    if record.get("command"):
        parts += ["<h2>Command</h2>", f"<p><code>{_safe(record['command'])}</code></p>"]
    parts += ["<h2>Settings</h2>", _table(list(settings_of(run).items()))]
    head = f'<meta charset="utf-8"><title>{_safe(run.path.name)}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _figures(run: Run, spec: ImageSpec) -> list[tuple[str, str]]:
    record, native = run.record, int(run.record.get("native_levels", 0))
    rows = [("State", str(record.get("status", "?"))), ("Protocol", str(record.get("protocol", "?")))]
    if run.points:
        best = min(run.points, key=lambda point: point.validation_nats)
        nats = spec.comparable_nats(best.validation_nats, native)
        rows.append(("Best validation", f"{best.validation_bits_per_dim:.4f} bits/dim, {nats:.2f} nats an image"))
        rows.append(("", f"at step {best.step:,}, epoch {best.epoch:.1f}"))
    for name, nats in record.get("baselines", {}).items():
        rows.append((f"Baseline {name}", f"{nats / (spec.sites * math.log(2)):.4f} bits/dim"))
    last = run.points[-1] if run.points else None
    seconds = float(record.get("seconds") or (last.seconds if last else 0.0))
    rows.append(("Time", f"{seconds / 60:.1f} min on {record.get('machine', '?')}"))
    rows.append(("Parameters", f"{int(record.get('parameters', 0)):,}"))
    rows.append(("Begun", str(record.get("started", "?"))))
    return rows


def _curve(run: Run, spec: ImageSpec) -> str:
    """Bits per dimension of validation and training against minutes, baselines dashed."""
    native, unit = int(run.record.get("native_levels", 0)), 1 / (spec.sites * math.log(2))
    seconds = np.array([point.seconds for point in run.points])
    series = {"validation": [point.validation_bits_per_dim for point in run.points]}
    series["train"] = [spec.bits_per_dim(point.train_nats, native) for point in run.points]
    lines = {name: nats * unit for name, nats in run.record.get("baselines", {}).items()}
    values = np.array([v for row in series.values() for v in row if math.isfinite(v)])
    low, high = float(values.min()), float(values.max())
    near = [v for v in lines.values() if v < high + (high - low)]
    low, high = min([low, *near]), max([high, *near])
    low, high = low - 0.05 * (high - low) - 1e-6, high + 0.05 * (high - low) + 1e-6
    longest = max(float(seconds.max()), 1e-6)

    def x(at: float) -> float:
        return LEFT + at / longest * (WIDTH - LEFT - 4)

    def y(bits: float) -> float:
        return 4 + (high - bits) / (high - low) * (HEIGHT - BOTTOM - 8)

    parts = []
    for i in range(5):
        bits = low + (high - low) * i / 4
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y(bits):.1f}" y2="{y(bits):.1f}" stroke="#e4e7ec"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(bits) + 4:.1f}" text-anchor="end">{bits:.3f}</text>')
        minutes, anchor = longest * i / 240, "start" if i == 0 else "end" if i == 4 else "middle"
        parts.append(f'<text x="{x(longest * i / 4):.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{minutes:.2g} min</text>')
    legend = []
    for name, bits in lines.items():
        colour = DASHED.get(name, "#8a919e")
        if low <= bits <= high:
            place = f'x1="{LEFT}" x2="{WIDTH}" y1="{y(bits):.1f}" y2="{y(bits):.1f}"'
            parts.append(f'<line {place} stroke="{colour}" stroke-dasharray="4 4"/>')
        legend.append(f'<span style="color:{colour}">{_safe(name)} {bits:.3f}</span>')
    for name, colour, wide in (("train", "#8a919e", 1.2), ("validation", "#1f6fd6", 2.4)):
        pairs = zip(seconds, series[name], strict=True)
        points = " ".join(f"{x(at):.1f},{y(bits):.1f}" for at, bits in pairs if math.isfinite(bits))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{wide}"/>')
        legend.insert(0, f'<span style="color:{colour}">{name}</span>')
    drawn = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Learning curve">{"".join(parts)}</svg>'
    return f'<p>bits/dim: {" · ".join(legend)}</p>{drawn}'


def _pictures(run: Run) -> list[str]:
    parts, sheets = [], sorted((run.path / "samples").glob("*.png"))
    figures, places = [], np.linspace(0, len(sheets) - 1, min(SAMPLES, len(sheets))).astype(int)
    for path in (sheets[i] for i in places):
        try:
            figures.append(_figure(path.read_bytes(), f"step {int(path.stem):,}"))
        except (OSError, ValueError):
            continue
    if figures:
        parts += ["<h2>The same seed, as it learned</h2>", f'<div class="film">{"".join(figures)}</div>']
    bits = run.loss_map()
    if bits is not None and bits.size:
        from PIL import Image

        buffer, high = io.BytesIO(), max(float(bits.max()), 1e-6)
        picture = Image.fromarray(colour_map(bits / high))
        scale = max(1, 224 // max(bits.shape))
        picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST).save(buffer, "PNG")
        words = f"from 0 (dark) to {high:.2f} bits (bright), {bits.mean():.2f} on average, validation images"
        parts += ["<h2>Bits of every pixel</h2>", _figure(buffer.getvalue(), words)]
    return parts


def _figure(png: bytes, words: str) -> str:
    image = f'<img alt="{_safe(words)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
    return f"<figure>{image}<figcaption>{_safe(words)}</figcaption></figure>"


def _table(rows: list[tuple[str, str]]) -> str:
    return "<table>" + "".join(f"<tr><td>{_safe(name)}</td><td>{_safe(value)}</td></tr>" for name, value in rows) + "</table>"


def _safe(text: object) -> str:
    return html.escape(str(text))
