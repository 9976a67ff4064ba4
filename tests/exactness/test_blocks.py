"""Law 3 for decoders that take many pixels at once: given what stands before each pixel, right or guessed, they say
what `forward` says, in whatever pieces and for whichever images they are asked."""

import sys

import numpy as np
import pytest
import torch
from cases import CASES, SMALL, Case, random_images

from arstudio.image import ImageSpec

GRIDS = [    # sizes at which the rows of both networks can be cut into blocks alike; in the last the grid ends a row
    Case("multiscale", spec, 2, {**SMALL["multiscale"], "network": network, "scale": scale})
    for spec, scale in ((ImageSpec(1, 5, 6, 3), 2), (ImageSpec(3, 4, 4, 2), 2), (ImageSpec(1, 5, 4, 3), 3))
    for network in ("diagonal_bilstm", "gated")
]
BLOCKS = [case for case in CASES if case.spec.pixels > 1] + GRIDS


class Blocks:
    """A decoder that is driven as parallel samplers drive it: `x` holds what is final, and behind it guesses."""

    def __init__(self, model, seed, batch=3):
        self.model, self.rng = model, np.random.default_rng(seed)
        self.y = torch.arange(batch) % (model.num_classes + 1) - 1 if model.num_classes else None
        self.decoder = model.decoder(batch, self.y)
        self.sites = model.site_index.view(model.spec.pixels, model.spec.channels)
        final, guess = (random_images(model.spec, batch, torch.Generator().manual_seed(seed + i)) for i in (0, 1))
        self.final = final.flatten(1).to(self.decoder.x.dtype)
        self.x = self.decoder.x.numpy().reshape(batch, -1)
        self.x[:] = guess.flatten(1)

    def settle(self, image, first, last, colours=None):
        where = self.sites[first:last, :colours].flatten()
        self.x[image, where] = self.final[image, where]

    def draw(self, block):
        """One block of all images, by looks at the rest of the block of some of them until all is settled."""
        first = block * self.decoder.block
        last = min(first + self.decoder.block, self.model.spec.pixels)
        start = np.full(len(self.final), first)
        for image in range(len(start)):
            self.settle(image, 0, first)
        for images in ([0, 2], [1]):
            self.decoder.enter(np.array(images), block)
        while (start < last).any():
            rows = np.flatnonzero(start < last)
            some = np.sort(self.rng.choice(rows, self.rng.integers(1, len(rows) + 1), replace=False))
            right = [min(last, start[image] + self.rng.integers(0, 4)) for image in some]    # guessed right so far
            for image, end in zip(some, right, strict=True):
                self.settle(image, start[image], end)
                self.settle(image, end, min(end + 1, last), self.model.spec.channels - 1)    # of the last the earlier colours
            pixels = [np.arange(start[image], last) for image in some]
            self.look(np.repeat(some, [len(part) for part in pixels]), np.concatenate(pixels))
            for image, end in zip(some, right, strict=True):
                self.settle(image, end, end + 1 if end < last else end)
                start[image] = end + 1

    def look(self, images, pixels):
        with torch.inference_mode():
            found = self.decoder.look(images, pixels)
            expected = self.model(self.decoder.x, self.y).flatten(2)[images]               # (N, P, D)
        expected = expected[torch.arange(len(images))[:, None], :, self.sites[pixels]]
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", BLOCKS, ids=str)
def test_many_pixels_at_once_say_what_forward_says(case, random_model):
    model = random_model(case.name, case.spec, case.num_classes, dtype=torch.float64, **case.config)
    walk = Blocks(model, 1)
    if not walk.decoder.block:
        pytest.skip("takes one pixel at a time")
    blocks = list(range(-(-case.spec.pixels // walk.decoder.block)))
    for block in [*blocks, *walk.rng.choice(blocks, 2)]:    # and back to earlier ones
        walk.draw(int(block))


ONE_EACH = {case.name: case for case in CASES if case.spec == ImageSpec(3, 4, 3, 4) and case.name != "gated_pixelcnn"}


@pytest.mark.parametrize("case", ONE_EACH.values(), ids=str)
def test_on_other_devices_tensors_take_the_place_of_arrays(case, random_model, monkeypatch):
    for name, module in list(sys.modules.items()):
        if name.startswith("arstudio.models") and hasattr(module, "at_site"):
            monkeypatch.setattr(module, "at_site", lambda x: x)
    walk = Blocks(random_model(case.name, case.spec, case.num_classes, dtype=torch.float64, **case.config), 2)
    for block in range(-(-case.spec.pixels // walk.decoder.block) if walk.decoder.block else 0):
        walk.draw(block)
