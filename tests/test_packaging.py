"""What is shipped: a wheel that holds its resources and finds them, and a package that starts light."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A wheel built from the checkout, unpacked as an installer would."""
    place = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)], cwd=ROOT, check=True, capture_output=True
    )
    (wheel,) = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "site")
    return place / "site"


def run(code: str, site: Path | None = None) -> str:
    env = {**os.environ, "PYTHONPATH": str(site)} if site else dict(os.environ)
    return subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=site or ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_wheel_finds_its_own_datasets_models_and_icons(installed):
    code = (
        "import arstudio; from arstudio.resources import resource; from arstudio.data import load; "
        "from arstudio.models.modelfile import bundled_models; "
        "print(arstudio.__file__); print(resource('icons', 'play.svg')); print(len(load('digits').train.x)); "
        "print(len(bundled_models()))"
    )
    module, icon, images, models = run(code, installed).splitlines()
    assert Path(module).is_relative_to(installed)
    assert Path(icon).is_relative_to(installed)
    assert int(images) == 1257
    assert int(models) == len(list((ROOT / "resources" / "models").glob("*.safetensors"))) >= 6
    assert (installed / "arstudio" / "py.typed").exists()


def test_a_missing_resource_gives_a_sentence():
    from arstudio.resources import resource

    with pytest.raises(FileNotFoundError, match=r"^The bundled file resources/nothing.bin is missing: .*\.$"):
        resource("nothing.bin")


@pytest.mark.parametrize(
    "module", ["arstudio", "arstudio.cli", "arstudio.models.modelfile", "arstudio.data", "arstudio.__main__"]
)
def test_light_modules_load_neither_torch_nor_qt(module):
    assert run(f"import sys, {module}; print('torch' in sys.modules, 'PySide6' in sys.modules)") == "False False"


def test_the_window_module_is_there_before_torch_is():
    code = "import sys, arstudio.gui.main_window; print('torch' in sys.modules, 'pyqtgraph' in sys.modules)"
    assert run(code) == "False False"


def test_without_a_display_one_sentence_says_what_works():
    env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    result = subprocess.run([sys.executable, "-m", "arstudio"], env=env, capture_output=True, text=True, cwd=ROOT)
    if sys.platform.startswith("linux"):
        assert result.returncode == 1
        assert result.stderr.startswith("AR Studio needs a display")
        assert "arstudio sample" in result.stderr or "sample" in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


def test_bundled_models_are_small_and_carry_their_facts():
    from arstudio.models.modelfile import bundled_models

    cards = bundled_models()
    assert {c.name for c in cards} >= {
        "digits-gated", "mnist-gated", "fashion-gated", "digits-pixelcnn", "digits-nade", "digits-fvsbn"
    }
    for card in cards:
        assert card.path.stat().st_size <= 3_000_000
        assert card.facts.split == "test"
        assert card.facts.nats > 0
        assert card.facts.command.startswith("arstudio train")
        assert card.path.with_suffix(".png").exists()
