"""What runs were told differently, and the page about one."""

import base64
import dataclasses
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from arstudio.sampling import SampleSettings, sample
from arstudio.training.config import TrainConfig
from arstudio.training.differences import differences, settings_of
from arstudio.training.report import report_html
from arstudio.training.runs import Remarks, Run, RunError
from arstudio.training.setup import DataView, new_trainer

CONFIG = TrainConfig(epochs=2, batch=8, learning_rate=0.01)


@pytest.fixture
def train(stripes, tmp_path):
    def make(name, hidden=4, **changes):
        view, config = DataView(dataset=str(stripes)), dataclasses.replace(CONFIG, **changes)
        trainer = new_trainer(
            tmp_path / name, view, "nade", config, {"hidden": hidden}, device="cpu",
            draw=lambda model, count, seed: sample(model, count, SampleSettings(seed=seed), 0).images(),
        )
        trainer.fit()
        return Run.open(trainer.run.path)

    return make


def test_only_what_differs_is_told(train):
    one, other, same = train("one"), train("other", hidden=6, learning_rate=0.02), train("same")
    rows = dict(differences([one, other]))
    assert rows["model hidden"] == ("4", "6")
    assert rows["training learning_rate"] == ("0.01", "0.02")
    assert set(rows) == {"parameters", "model hidden", "training learning_rate"}
    assert differences([one, same]) == []
    assert dict(differences([one, other, same]))["model hidden"] == ("4", "6", "4")
    assert settings_of(one)["data levels"] == "as is"


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.images = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs)["src"])
        if tag not in ("meta", "img", "line", "polyline"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_holds_everything_and_loads_nothing(train):
    run = train("run")
    run.save_remarks(Remarks("<script>alert(1)</script> wide & good", ("first",)))
    text = report_html(run)
    page = Page(text)
    assert page.open == []
    assert "script" not in page.tags
    assert not re.search(r'(src|href|url)[=(](?!"data:)', text)
    assert "&lt;script&gt;" in text
    assert "#first" in text
    assert f"{min(p.validation_bits_per_dim for p in run.points):.4f} bits/dim" in text
    sheets = sorted((run.path / "samples").glob("*.png"))
    pictures = [base64.b64decode(src.partition(",")[2]) for src in page.images]
    assert pictures[0] == sheets[0].read_bytes()
    assert len(pictures) == len(sheets) + 1
    bits, shown = run.loss_map(), np.asarray(Image.open(io.BytesIO(pictures[-1])))
    brightest = np.unravel_index(bits.argmax(), bits.shape)
    scale = shown.shape[0] // bits.shape[0]
    assert tuple(shown[brightest[0] * scale, brightest[1] * scale]) == (253, 231, 37)
    lines = re.findall(r'<polyline points="([^"]+)"', text)
    assert [len(line.split()) for line in lines] == [len(run.points) - 1, len(run.points)]


def test_a_run_without_figures_has_a_page_too_and_a_damaged_one_a_sentence(tmp_path):
    spec = {"channels": 1, "height": 2, "width": 2, "levels": 2}
    run = Run.new(tmp_path / "run", {"status": "new", "model": "nade", "spec": spec})
    assert "Learning curve" not in report_html(run)
    with pytest.raises(RunError, match="nothing to report"):
        report_html(Run.new(tmp_path / "other", {"status": "new"}))
