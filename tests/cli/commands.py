"""Commands as a person gives them, in this process, and what is asked of every answer."""

import json

import pytest
from typer.testing import CliRunner

from arstudio.cli import app
from arstudio.image import ImageSpec

SPEC, RGB = ImageSpec(1, 8, 8, 17), ImageSpec(3, 5, 6, 4)
DIGITS = tuple("0123456789")
TINY = ("--set", "channels=4", "--set", "head=8", "--set", "dilations=1")


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def figures(*arguments):
    """The JSON a command prints, which must be all that it prints on stdout."""
    found = run(*arguments, "--json")
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def refused(*arguments):
    """The sentence with which a command refuses."""
    found = run(*arguments)
    assert found.exit_code == 2, found.output
    assert found.stdout == ""
    sentence = found.stderr.rstrip("\n")
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    assert sentence.endswith((".", "!", "?"))
    return sentence


def everything_in(path):
    """Every path below a directory, with the bytes of files."""
    return {p.relative_to(path): p.read_bytes() if p.is_file() else None for p in sorted(path.rglob("*"))}
