"""The table of all systems: rows are measured for real, kept as they come, and sorted by their test figure."""

import json
import multiprocessing

import pytest
from typer.testing import CliRunner

from arstudio.analysis import model_table
from arstudio.analysis.model_table import Job, as_markdown, measure_all, read_rows, write_rows
from arstudio.cli import app
from arstudio.data import DatasetError, load
from arstudio.training.baselines import histogram_nats


@pytest.fixture(scope="module")
def rows():
    return measure_all([Job("fvsbn", "digits", 17, 2.0), Job("histogram", "digits", 17, 1.0)], workers=2)


def test_rows_come_in_the_order_of_the_jobs_with_exact_test_figures(rows):
    digits = load("digits")
    assert [row.title for row in rows] == ["FVSBN", "Histogram"]
    assert rows[1].nats == pytest.approx(histogram_nats(digits.train.x, digits.test.x, 17), rel=1e-6)
    assert rows[0].nats < rows[1].nats - 5
    for row in rows:
        assert row.images == len(digits.test)
        assert row.bits_per_dim == pytest.approx(digits.spec.bits_per_dim(row.nats))
        assert row.drawing_seconds > 0
    assert 1.9 < rows[0].training_seconds < 6


def test_rows_are_kept_the_newest_of_each_kind_and_printed_best_first(rows, tmp_path):
    path = tmp_path / "table.json"
    assert read_rows(path) == []
    write_rows(path, [*rows, rows[0]])
    assert sorted(read_rows(path), key=lambda row: row.title) == sorted(rows, key=lambda row: row.title)
    lines = as_markdown(rows, "digits").splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| FVSBN", "| Histogram"]
    assert f"{rows[0].nats:.2f}" in lines[2]


def test_what_is_kept_already_is_not_measured_again(rows, tmp_path):
    path = tmp_path / "table.json"
    write_rows(path, rows)
    command = ["bench", "models", "--dataset", "digits:17", "--model", "fvsbn,histogram", "--keep", str(path), "--json"]
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 0
    assert {row["title"]: row["nats"] for row in json.loads(found.stdout)["rows"]} == {row.title: row.nats for row in rows}


@pytest.mark.parametrize(("arguments", "sentence"), [
    (["--model", "gan"], "There is no model 'gan'"), (["--dataset", "digits"], "--dataset takes names with levels"),
])
def test_what_cannot_be_measured_is_refused(arguments, sentence):
    found = CliRunner().invoke(app, ["bench", "models", *arguments])
    assert found.exit_code != 0
    assert sentence in (found.output or "") + str(found.exception)


def test_an_error_of_a_process_is_that_of_its_job_and_one_that_is_killed_is_said():
    with pytest.raises(DatasetError, match="it can be viewed at fewer"):
        measure_all([Job("histogram", "digits", 99, 1.0)])
    here, there = multiprocessing.Pipe(duplex=False)
    there.close()
    with pytest.raises(ChildProcessError, match="try fewer --workers"):
        model_table._received(here)
