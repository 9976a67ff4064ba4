"""Help teaches by examples that work, and what there is is listed."""

import shlex
import subprocess
import sys
import types
from pathlib import Path

import pytest
from commands import figures, run
from typer.main import get_command

from arstudio import __version__
from arstudio.cli import app
from arstudio.data import SOURCES
from arstudio.image import ImageSpec
from arstudio.models import load_model

COMMANDS = (
    ["train"], ["sample"], ["complete"], ["inspect"], ["evaluate"], ["models"], ["datasets"], ["demo"],
    ["bench", "sampling"], ["bench", "gui"], ["evaluate", "likelihood"], ["evaluate", "completion"],
)


def test_the_command_line_starts_without_torch_and_without_qt():
    code = (
        "import sys, arstudio.cli; "
        "print([m for m in ('torch', 'PySide6', 'pyqtgraph', 'safetensors', 'PIL') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_version_is_the_package_s():
    assert run("--version").stdout == f"arstudio {__version__}\n"


def test_help_names_every_command():
    found = run("--help")
    assert found.exit_code == 0
    for name, *_ in COMMANDS:
        assert name in found.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_teaches_by_examples_that_are_real_commands(command):
    found = run(*command, "--help")
    assert found.exit_code == 0
    assert "Examples:" in found.stdout
    assert "     arstudio " in found.stdout    # indented, one to a line
    group = get_command(app)
    node = group
    for name in command:
        node = node.commands[name]
    assert max(map(len, node.help.splitlines())) <= 78    # else it breaks in the middle
    examples = [line.strip() for line in node.help.splitlines() if line.strip().startswith("arstudio ")]
    assert examples
    for example in examples:
        _, *words = shlex.split(example)
        leaf = group
        while words and words[0] in getattr(leaf, "commands", {}):
            leaf = leaf.commands[words.pop(0)]
        leaf.make_context("example", words)    # raises if an option or its type does not exist


@pytest.mark.parametrize("arguments", [(), ("bench",)])
def test_a_group_alone_shows_its_help(arguments):
    found = run(*arguments)
    assert found.exit_code == 0
    assert "Commands" in found.stdout


def test_models_lists_architectures_with_their_settings_and_bundled_files():
    found = figures("models")
    known = {entry["name"]: entry for entry in found["architectures"]}
    assert {"fvsbn", "nade", "pixelcnn", "gated_pixelcnn"} <= set(known)
    assert known["gated_pixelcnn"]["settings"]["channels"] > 0
    for entry in found["bundled"]:
        assert load_model(entry["name"])[1].spec == ImageSpec(**entry["spec"])
    assert "gated_pixelcnn" in run("models").stdout


def test_datasets_lists_the_bundled_ones_with_licence_and_source():
    found = {entry["name"]: entry for entry in figures("datasets")}
    assert {"digits", "mnist", "fashion", "emoji"} <= set(found)
    assert found["digits"]["splits"]["test"] == 360
    assert all(entry["licence"] and entry["source"] for entry in found.values())
    assert "digits" in run("datasets").stdout


def test_datasets_says_how_much_is_fetched_and_cuts_no_word(monkeypatch):
    found = {entry["name"]: entry for entry in figures("datasets")}
    monkeypatch.setenv("COLUMNS", "80")
    rows = {line.split()[0]: line for line in run("datasets").stdout.splitlines()}
    for name, source in SOURCES.items():
        assert found[name]["fetched_bytes"] == sum(file.bytes for file in source.files.values())
        assert rows[name].endswith(f"{found[name]['fetched_bytes'] / 1e6:.0f} MB".ljust(7))
    assert found["digits"]["fetched_bytes"] == 0
    assert rows["digits"].endswith("bundled")
    assert "…" not in "".join(rows.values())


def test_demo_and_bench_gui_hand_over_to_the_window(monkeypatch):
    calls = []
    for name in ("demo", "benchmark"):
        module = types.ModuleType(f"arstudio.gui.{name}")
        module.run = calls.append
        monkeypatch.setitem(sys.modules, f"arstudio.gui.{name}", module)
    assert run("demo", "--out", "shots").exit_code == 0
    assert run("bench", "gui", "--json").exit_code == 0
    assert calls == [Path("shots"), True]
