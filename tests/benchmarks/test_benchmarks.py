"""The sampling benchmark measures what it says it measures; how fast this machine is, no test asks."""

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from arstudio.analysis.benchmarks import bench_sampling, decoder_bytes, reference_network
from arstudio.analysis.jacobi_bench import HEIGHT, WIDTH
from arstudio.analysis.system_speeds import bench_systems, limit
from arstudio.cli import app
from arstudio.image import ImageSpec
from arstudio.models import save_model
from arstudio.progress import Cancelled, Progress
from arstudio.sampling import Sampler, SampleSettings

SPEC = ImageSpec(1, 6, 6, 4)


@pytest.fixture(scope="module")
def model(random_model):
    return random_model("gated_pixelcnn", SPEC, 3, channels=6, head=8, dilations=(1, 1))


@pytest.fixture(scope="module")
def result(model):
    return bench_sampling(model, "tiny", batches=(1, 3), repeats=2)


def test_naive_and_incremental_draw_the_same_pixels_and_naive_is_measured_where_affordable(result):
    for row in result.rows:
        assert row.identical is True
        assert row.naive_source == "measured"


def test_ratios_follow_from_the_seconds_beside_them(result):
    assert [row.batch for row in result.rows] == [1, 3]
    for row in result.rows:
        assert min(row.seconds, row.forward_seconds, row.naive_seconds, row.floor_seconds) > 0
        assert row.sites_per_second == pytest.approx(row.batch * 36 / row.seconds)
        assert row.ratio_to_naive == pytest.approx(row.naive_seconds / row.seconds)
        assert row.rho == pytest.approx(row.seconds / row.forward_seconds)
        assert row.ratio_to_floor == pytest.approx(row.seconds / row.floor_seconds)
        floor = 2 * result.multiply_adds * row.batch / (result.matrix_gflops * 1e9)
        assert row.floor_seconds == pytest.approx(floor)


def test_multiply_adds_are_those_of_the_layers(result, model):
    weights = [p for p in model.parameters() if p.ndim > 1 and p is not model.class_bias.weight]
    most = sum(p.numel() for p in weights) * SPEC.pixels
    assert 0.6 * most < result.multiply_adds <= most * 1.1    # the first vertical row is not computed


def test_the_cache_grows_with_the_batch(result):
    one, three = (row.cache_bytes for row in result.rows)
    assert one > 4 * SPEC.sites
    assert three == 3 * one


@pytest.mark.parametrize("method", ["incremental", "captured", "naive"])
def test_the_cache_is_that_of_what_the_images_were_drawn_by(model, method):
    kept = decoder_bytes(Sampler(model, SampleSettings(), 2, torch.tensor([0, 1]), method=method).decoder)
    row = bench_sampling(model, "tiny", batches=(2,), method=method, repeats=1, affordable=0).rows[0]
    assert row.cache_bytes == kept > 2 * 8 * SPEC.sites


def test_a_decoder_made_of_two_keeps_what_both_keep(random_model):
    decoder = random_model("multiscale", SPEC, hidden=4, small_hidden=4, context=3, layers=1, small_layers=1).decoder(2)
    assert decoder_bytes(decoder) > decoder_bytes(decoder.large) > decoder_bytes(decoder.small) > 0


def test_the_peak_of_a_drawing_holds_its_caches(model, monkeypatch):
    row = bench_sampling(model, "tiny", batches=(400,), repeats=1, affordable=0).rows[0]
    assert row.peak_bytes is None or row.cache_bytes < row.peak_bytes < 20 * row.cache_bytes


def test_the_protocol_stands_beside_the_figures(result):
    assert result.threads >= 1
    assert result.processors >= 1
    assert result.busy is (result.load_before > 0.25 * result.processors)
    for part in ("tiny", "Gated PixelCNN", "2 interleaved repeats", "Gflop/s", result.torch):
        assert part in result.protocol


def test_what_would_take_too_long_is_extrapolated_and_labelled_so(model):
    row = bench_sampling(model, "tiny", batches=(2,), repeats=1, affordable=0).rows[0]
    assert row.naive_source == "extrapolated"
    assert row.identical is None
    assert row.naive_seconds == pytest.approx(SPEC.sites * row.forward_seconds)


def test_it_can_be_stopped(model):
    class Stop(Progress):
        def cancelled(self):
            return True

    with pytest.raises(Cancelled):
        bench_sampling(model, "tiny", batches=(1,), repeats=1, progress=Stop())


def test_the_reference_network_is_the_published_one():
    model = reference_network()
    assert str(model.spec) == "28×28 · 2 levels"
    assert 3.3e6 < model.num_parameters < 3.6e6
    again = reference_network()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_the_command_prints_the_same_figures(model, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_model(path, model)
    arguments = ["bench", "sampling", "--model", str(path), "--batch", "1,2", "--repeats", "1"]
    found = CliRunner().invoke(app, [*arguments, "--json"])
    assert found.exit_code == 0
    figures = json.loads(found.stdout)
    assert [row["batch"] for row in figures["rows"]] == [1, 2]
    assert all(row["identical"] for row in figures["rows"])
    table = CliRunner().invoke(app, arguments)
    assert table.exit_code == 0
    assert "Sites/s" in table.stdout


@pytest.mark.parametrize("batch", ["", "x", "0", "1,,2", "-1"])
def test_batches_that_are_no_numbers_are_said_in_a_sentence(batch):
    found = CliRunner().invoke(app, ["bench", "sampling", "--batch", batch])
    assert found.exit_code == 2
    assert "1,16,64" in found.stderr


def test_every_system_is_measured_and_what_limits_it_follows_from_the_figures():
    assert bench_systems(SPEC, ["histogram"], repeats=1, affordable=0)[0].figures.rows[0].ratio_to_floor is None
    rows = bench_systems(SPEC, ["fvsbn", "order_agnostic"], repeats=1, affordable=0)
    assert [row.title for row in rows] == ["FVSBN", "Order-agnostic network"]
    assert all(row.figures.rows[0].decoder_seconds > 0 for row in rows)
    row = replace(rows[0].figures.rows[0], seconds=36e-6 * 50, decoder_seconds=36e-6 * 20, rho=9.0)
    assert limit(row, 36) == "deciding and recording: 30 of 50 µs a site"
    assert limit(replace(row, decoder_seconds=36e-6 * 40), 36) == "the network: 40 of 50 µs a site"
    assert "less than a forward pass" in limit(replace(row, rho=0.5), 36)
    assert "one by one 70 µs" in limit(replace(row, decoder_seconds=36e-6 * 70), 36)


def test_the_table_of_systems_has_a_line_for_each_batch_size():
    arguments = ["bench", "systems", "--image", "4x4:2", "--model", "fvsbn,pixelcnn", "--batch", "1,2", "--repeats", "1"]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0
    assert [line.split(" | ")[:2] for line in found.stdout.splitlines() if line.startswith(("| FVSBN", "| PixelCNN"))] == [
        ["| FVSBN", "1"], ["| FVSBN", "2"], ["| PixelCNN", "1"], ["| PixelCNN", "2"],
    ]


@pytest.mark.parametrize(("arguments", "sentence"), [
    (["--image", "28:2"], "--image takes height, width and levels"), (["--image", "4x4:1"], "levels must be 2 to 256"),
    (["--model", "gan"], "There is no model 'gan'"), (["--preset", "huge"], "There is no preset 'huge'"),
])
def test_systems_that_cannot_be_measured_are_refused(arguments, sentence):
    found = CliRunner().invoke(app, ["bench", "systems", *arguments])
    assert found.exit_code != 0
    assert sentence in (found.output or "") + str(found.exception)


def test_jacobi_iterations_are_counted_of_images_that_are_those_of_site_by_site_drawing(tmp_path):
    command = ["bench", "jacobi", "--sides", "4,7", "--seconds", "1", "--images", "3", "--out", str(tmp_path / "new"), "--json"]
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 0
    rows = json.loads(found.stdout)["rows"]
    assert json.loads((tmp_path / "new" / "iterations.json").read_text())["rows"] == rows
    assert [row["sites"] for row in rows] == [16, 49]
    for row in rows:
        assert row["identical"]
        assert len(row["iterations"]) == 3
        assert 1 <= row["mean"] <= row["most"] < row["sites"]
    with Image.open(tmp_path / "new" / "iterations.png") as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors(100_000)}
        assert picture.size == (WIDTH, HEIGHT)
    assert (255, 255, 255) in colours
    assert len(colours) > 20


def test_sides_that_are_no_numbers_are_said_in_a_sentence():
    found = CliRunner().invoke(app, ["bench", "jacobi", "--sides", "7x7"])
    assert found.exit_code == 2
    assert "--sides takes whole numbers" in found.stderr
