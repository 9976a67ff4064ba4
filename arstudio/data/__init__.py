"""Where images come from: bundled and fetched datasets, folders, files and sprite sheets, as NumPy arrays of levels.

    data = load("digits")                          # native 8×8, 17 levels
    data = load("mnist", levels=2, size=14)        # static binarisation of 14×14 averages
    data = load("~/Pictures/icons", size=32)       # one's own, cropped and resized
    data.train.x, data.train.y                     # (N, C, H, W) uint8 levels; (N,) int64 classes, or None

`data.protocol` names the view and belongs beside every figure computed on it. The cards that `bundled` lists
carry each dataset's licence, source and citation. Nothing here imports torch.
"""

from arstudio.data.datasets import DataView, bundled, load
from arstudio.data.downloads import SOURCES
from arstudio.data.folder import load_arrays, load_folder
from arstudio.data.shelf import Shelf
from arstudio.data.views import SPLITS, DatasetError, DatasetInfo, ImageDataset, Split

__all__ = [
    "SOURCES",
    "SPLITS",
    "DataView",
    "DatasetError",
    "DatasetInfo",
    "ImageDataset",
    "Shelf",
    "Split",
    "bundled",
    "load",
    "load_arrays",
    "load_folder",
]
