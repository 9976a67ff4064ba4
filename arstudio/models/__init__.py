"""p(x): autoregressive models of images, one file each, all under the contract of `base.py` and `decoder.py`.

Names are imported when first used, so reading model files' headers (`modelfile`) needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arstudio.models.base import AutoregressiveModel, ClassRequired, ConfigError
    from arstudio.models.checkpoint import load_frozen, load_model, save_model
    from arstudio.models.decoder import Decoder
    from arstudio.models.registry import MODELS, create, make_config, preset_settings

_FILES = (
    "histogram", "fvsbn", "nade", "eonade", "rnade", "made", "pixel_rnn", "row_lstm", "diagonal_bilstm", "multiscale",
    "pixelcnn", "gated_pixelcnn", "pixelcnn_pp", "pixelsnail", "wavenet", "imagegpt", "lmconv", "order_agnostic",
)
_HOMES = {
    "MODELS": "registry", "create": "registry", "make_config": "registry",
    "preset_settings": "registry",
    "AutoregressiveModel": "base", "Decoder": "decoder", "ConfigError": "base", "ClassRequired": "base",
    "load_frozen": "checkpoint", "load_model": "checkpoint", "save_model": "checkpoint",
}

__all__ = [
    "MODELS", "AutoregressiveModel", "ClassRequired", "ConfigError", "Decoder",
    "create", "load_frozen", "load_model", "make_config", "preset_settings", "save_model",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for file in _FILES:
        import_module(f"{__name__}.{file}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
