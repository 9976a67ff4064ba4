"""What starting the program may load: neither torch nor Qt before they are needed."""

import subprocess
import sys

import pytest


def loaded_by(statement):
    """Names of the top-level modules that a fresh interpreter holds after a statement."""
    code = f"{statement}\nimport sys; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["arstudio", "arstudio.models.modelfile", "arstudio.image"])
def test_importing_loads_neither_torch_nor_qt(module):
    found = loaded_by(f"import {module}")
    assert "arstudio" in found
    assert not found & {"torch", "PySide6", "pyqtgraph"}


def test_importing_the_package_loads_nothing_big():
    assert not loaded_by("import arstudio") & {"numpy", "PIL", "typer", "rich", "safetensors"}


def test_the_mathematics_never_loads_qt():
    rooms = "models.checkpoint, arstudio.sampling, arstudio.training.setup, arstudio.analysis.maps"
    found = loaded_by(f"import arstudio.{rooms}")
    assert "torch" in found
    assert not found & {"PySide6", "pyqtgraph"}


def test_a_card_is_read_without_torch(tmp_path, random_model):
    from arstudio.image import ImageSpec
    from arstudio.models import save_model

    path = tmp_path / "m.safetensors"
    save_model(path, random_model("nade", ImageSpec(1, 2, 2, 2), hidden=2))
    read = f"import arstudio.models.modelfile as m; assert m.read_card({str(path)!r}).title == 'NADE'"
    found = loaded_by(read)
    assert "safetensors" in found
    assert "torch" not in found
