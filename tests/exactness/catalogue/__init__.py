"""One file per registered model, named like it, with what the laws need to know of it:

    SMALL            settings that make it small and quick            (default: none)
    VARIANTS         further settings worth holding to the laws       (default: none)
    configs(draw)    random settings for hypothesis                   (default: SMALL)
    sight(case)      (D, D) bool: what the paper says it can see      (default: the whole past)

`sight` is derived from the figures of the paper with `reach`, and shares no code with the model.
"""

from importlib import import_module
from importlib.util import find_spec

from arstudio.models import MODELS

FILES = {name: import_module(f"catalogue.{name}") for name in MODELS if find_spec(f"catalogue.{name}")}
