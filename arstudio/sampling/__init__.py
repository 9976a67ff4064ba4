"""How x is drawn: noise and decisions, samplers, completion, and the Trace every view reads.

    sampler = Sampler(model, SampleSettings(seed=1), count=16)
    sampler.run()
    sampler.trace.images()      # (16, C, H, W) levels
"""

from __future__ import annotations

from arstudio.sampling.branches import Branch, BranchTree
from arstudio.sampling.choice import Choice, choose, methods
from arstudio.sampling.completion import Completion, complete, preset_mask
from arstudio.sampling.draw import SampleSettings, SettingsError
from arstudio.sampling.recipe import Change, Recipe, Redraw
from arstudio.sampling.sampler import METHODS, Sampler, sample
from arstudio.sampling.trace import Trace

__all__ = [
    "METHODS", "Branch", "BranchTree", "Change", "Choice", "Completion", "Recipe", "Redraw", "SampleSettings", "Sampler",
    "SettingsError", "Trace", "choose", "complete", "methods", "preset_mask", "sample",
]
