"""The house stays in order: arrows between rooms point down, and the top level holds what the plan names."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP = {"arstudio", "resources", "packaging", "tests", "pyproject.toml", "README.md", "LICENSE"}
ROOMS = {
    "__init__.py", "__main__.py", "py.typed", "image.py", "openmp.py", "progress.py", "resources.py", "README.md",
    "models", "data", "training", "sampling", "analysis", "cli", "gui",
}


def tracked():
    """Paths of all files that git knows or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [Path(line) for line in listed if (ROOT / line).exists()]


def test_the_import_contract_is_kept():
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    kept = re.search(r"(\d+) kept, 0 broken", found.stdout)
    assert kept is not None
    assert int(kept[1]) >= 2


def test_the_top_level_holds_what_the_plan_names():
    names = {path.parts[0] for path in tracked()}
    assert names | {"packaging"} >= TOP
    assert {name for name in names if not name.startswith(".")} - TOP == set()


def test_the_package_has_the_rooms_of_the_plan_and_no_others():
    rooms = {path.parts[1].removesuffix(".py") for path in tracked() if path.parts[0] == "arstudio"}
    assert rooms <= {name.removesuffix(".py") for name in ROOMS}


def test_tests_mirror_the_rooms():
    folders = {path.parts[1] for path in tracked() if path.parts[0] == "tests" and len(path.parts) > 2}
    assert folders <= ROOMS | {"exactness", "benchmarks", "packaging"}


def test_no_file_is_called_a_drawer():
    """utils, helpers, manager, common, misc: a file has one reason to exist, and its name says which."""
    names = {path.stem for path in tracked() if path.suffix == ".py"}
    assert not names & {"utils", "util", "helpers", "helper", "manager", "common", "misc"}


def test_a_model_fits_in_a_head():
    from arstudio.models import _FILES

    files = {name: ROOT / "arstudio" / "models" / f"{name}.py" for name in _FILES}
    sizes = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in files.items()}
    assert {name: lines for name, lines in sizes.items() if lines > 350} == {}


def test_nobody_unpickles_or_evaluates():
    """Loading data or a model never runs code."""
    for path in tracked():
        if path.parts[0] == "arstudio" and path.suffix == ".py":
            text = (ROOT / path).read_text(encoding="utf-8")
            for word in ("import pickle", "torch.load(", "allow_pickle=True", "eval(input", " exec("):
                assert word not in text, f"{path} has {word}"
