"""Rows by fewer multiplications: the same sums as the dense product, in the layout that keeps them together."""

import numpy as np
import pytest
import torch

from arstudio.image import ImageSpec
from arstudio.models import gated_decoder
from arstudio.models.row_products import (
    AT,
    AT2,
    BT,
    BT2,
    TILE,
    arranged,
    buffer_shape,
    convolve,
    convolve_tiles,
    dense_weight,
    images_first,
    in_memory,
    laid_out,
    pair_weight,
    place,
    rooms,
    settle,
    tiled_weight,
)
from arstudio.sampling import Sampler, SampleSettings, sample


def row_by_row(x, tiled, weight, shape, shift, sums, begin=0):
    """x (R, H, W, in) written into a buffer and convolved, from row `begin` on -> rows as they come. Whatever lay in tiles
    or in the spaces before is no number."""
    images, height, width, inputs = x.shape
    spaces = [x.new_full((images * width * shape[0] * 3 * 6,), np.nan) for _ in range(3)]
    buffer = x.new_full(buffer_shape(images, shape[4] + height, width, shape[3], inputs, tiled), np.nan if tiled else 0)
    carried = x.new_full((TILE, images, width // TILE, weight.shape[-1]), np.nan)
    for row in range(begin, height):
        if tiled:
            room = rooms(spaces, images, width // TILE, inputs, weight.shape[-1], row)
            room.row.copy_(arranged(x[:, row], room.row))
            settle(buffer, row, sums, room)
            yield convolve_tiles(carried, carried.flatten(1), weight, row, shift, sums, room)
        else:
            place(buffer, row, shape).copy_(x[:, row])
            yield convolve(buffer, weight, shape, row, shift, spaces)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
@pytest.mark.parametrize(("images", "kh", "width"), [(1, 2, 4), (3, 2, 12), (5, 1, 8), (2, 3, 28)])
@pytest.mark.parametrize("shifts", ["one a feature", "one a place"])
@pytest.mark.parametrize("begin", [0, 1, 2])
def test_tiles_give_the_dense_convolution(dtype, tolerance, images, kh, width, shifts, begin):
    """From the first row on, and where drawing goes back, from the row after the one that knows nothing of those above."""
    rng, height = np.random.default_rng(width), 6

    def numbers(*shape):
        return torch.from_numpy(rng.normal(size=shape)).to(dtype)

    kernel, x = numbers(kh, 3, 5, 6), numbers(images, height, width, 5)
    shift = numbers(images, 1 if shifts == "one a feature" else width, 6)
    padded = np.pad(x.numpy(), ((0, 0), (kh - 1, 0), (1, 1), (0, 0))).astype(np.float64)
    shape, sums = [kh, 3, 1, 1, kh - 1], [BT.to(dtype), AT.to(dtype)]
    ways = [(False, dense_weight, (1, kh * 3 * 5, 6)), (True, tiled_weight, (3, 6, 5, 6))]
    for tiled, weigh, room in ways[:2 if kh == 2 else 1]:
        weight = kernel.new_full(room, np.nan)
        weigh(kernel / 2, kernel.new_tensor([2.0]), weight)
        first = begin if tiled else 0
        for row, z in enumerate(row_by_row(x, tiled, weight, shape, shift, sums, first), first):
            assert z.dim() == (4 if tiled else 3)
            if row > first or row == 0:
                windows = np.stack([padded[:, row:row + kh, j:j + width] for j in range(3)], axis=3)    # (R, kh, W, 3, in)
                expected = np.einsum("rhwki,hkio->rwo", windows, kernel.double().numpy()) + shift.double().numpy()
                np.testing.assert_allclose(z, arranged(torch.from_numpy(expected), z), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_five_products_give_the_sums_of_eight(dtype, tolerance):
    rng = np.random.default_rng(0)
    left, d = (torch.from_numpy(rng.normal(size=shape)).to(dtype) for shape in ((2, 7, 6), (5, 9, 7)))
    weight = left.new_full((5, 7, 6), np.nan)
    pair_weight(left, weight)
    assert torch.equal(weight[:2], left)                                                   # which others may share
    u = (BT2.to(dtype) @ d.flatten(1)).view(5, 9, 7)
    y = (AT2.to(dtype) @ torch.bmm(u, weight).flatten(1)).view(4, 9, 6)
    expected = d.double()[:-1] @ left[0].double() + d.double()[1:] @ left[1].double()
    np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance)
    assert torch.equal(AT2[:, 2], torch.ones(4, dtype=torch.float64))                      # where what is added to all enters


def test_a_tiled_buffer_is_laid_out_for_products_again_after_images_were_chosen():
    rows = images_first(torch.arange(4.0 * 3 * 2 * 5).view(buffer_shape(3, 9, 8, 1, 5, True)))
    chosen = rows[torch.tensor([2, 0, 0, 1])]
    assert torch.equal(laid_out(chosen), chosen)
    assert in_memory(laid_out(chosen)).view(4, -1).shape == (4, 40)             # which only such a layout allows


@pytest.mark.parametrize("spec", [ImageSpec(1, 5, 8, 4), ImageSpec(3, 3, 12, 3)], ids=str)
@pytest.mark.parametrize("dilations", [(1,), (1, 1, 2, 1), (1, 2)])
def test_a_decoder_may_use_either_and_mix_them(spec, dilations, random_model, monkeypatch):
    model = random_model("gated_pixelcnn", spec, 2, channels=9, dilations=dilations, head=9, dtype=torch.float64)
    x, y = torch.randint(0, spec.levels, (5, *spec.shape), generator=torch.Generator().manual_seed(1)), torch.arange(5) % 2
    truth = model(x, y).detach()
    for many, kinds in ((1, {False, True} if 1 in dilations[1:] else {False}), (10**9, {False})):
        monkeypatch.setattr(gated_decoder, "MANY", many)
        monkeypatch.setattr(gated_decoder, "TOGETHER", 2 * 9 * spec.width)    # two images
        decoder = model.decoder(5, y)
        assert {p.tiled for p in decoder.prepared} == kinds
        decoder.x.copy_(x)
        for row in range(spec.height):
            decoder.enter(np.arange(5), row)
            for images, first in ((np.arange(5), 0), (np.arange(1, 4), 3), (np.array([0, 2, 3]), 1)):
                columns = np.arange(first, spec.width)
                found = decoder.look(np.repeat(images, len(columns)), np.tile(columns + row * spec.width, len(images)))
                expected = truth[images][:, :, :, row, first:].permute(0, 3, 2, 1).flatten(0, 1)
                torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("many", [1, 25])
@pytest.mark.parametrize("spec", [ImageSpec(1, 7, 12, 3), ImageSpec(3, 4, 8, 2)], ids=str)
def test_looks_begin_where_features_stand(many, spec, random_model, monkeypatch):
    """Images in any company, from any column whose features before it stand, whether they were kept or not."""
    monkeypatch.setattr(gated_decoder, "MANY", many)
    monkeypatch.setattr(gated_decoder, "TOGETHER", 2 * 9 * spec.width)    # two images
    model = random_model("gated_pixelcnn", spec, 3, channels=9, dilations=(1, 1, 2, 1), head=9, dtype=torch.float64)
    rng, width, count = np.random.default_rng(many), spec.width, 6
    decoder = model.decoder(count, torch.arange(count) % 3)
    for row in range(spec.height):
        stands = np.zeros(count, dtype=int)
        decoder.enter(np.arange(count), row)
        for _ in range(7):
            images = np.flatnonzero(rng.random(count) < rng.choice([0.3, 0.7, 1.0]))
            if not len(images):
                continue
            first = rng.integers(0, stands[images] + 1) if rng.random() < 0.5 else np.repeat(stands[images].min(), len(images))
            places = [np.arange(start, width) for start in first]
            found = decoder.look(np.repeat(images, [len(p) for p in places]), np.concatenate(places) + row * width)
            with torch.no_grad():
                truth = model(decoder.x, decoder.classes)[..., row, :].permute(0, 3, 2, 1)      # (B, W, C, P)
            expected = torch.cat([truth[image, start:] for image, start in zip(images, first, strict=True)])
            torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
            change = int(rng.integers(0, width))                                            # pixels before it are final
            shape = (len(images), spec.channels, width - change)
            decoder.x[torch.from_numpy(images), :, row, change:] = torch.from_numpy(rng.integers(0, spec.levels, shape))
            stands[images] = np.minimum(change + 1, width - 1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("many", [1, 10**9], ids=["tiled", "dense"])
def test_steps_runs_particles_and_ways_back_go_together(many, seed, random_model, monkeypatch):
    """Given runs of pixels, single ones, images and particles that take another's place, and going back, in any order."""
    monkeypatch.setattr(gated_decoder, "MANY", many)
    spec, rng = ImageSpec(1, 9, 8, 3), np.random.default_rng(seed)
    model = random_model("gated_pixelcnn", spec, 2, channels=6, dilations=(1, 1, 1), head=6, dtype=torch.float64)
    decoder = model.decoder(5, torch.tensor([1, 1, 1, 1, 1]))

    def truth(first, last):
        with torch.no_grad():
            return model(decoder.x, decoder.classes).flatten(3)[..., first:last].permute(0, 3, 2, 1).flatten(1, 2)

    while (at := decoder.position) < spec.sites:
        what = rng.choice(["step", "run", "particles", "images", "back"], p=[0.36, 0.36, 0.12, 0.06, 0.1])
        left = spec.width - at % spec.width
        values = torch.from_numpy(rng.integers(0, 3, (5, min(left, 1 + int(rng.integers(spec.width))))))
        if what == "run":
            found = decoder.follow(values)
            torch.testing.assert_close(found, truth(at, at + values.shape[1]), rtol=1e-9, atol=1e-9)
        elif what == "step":
            torch.testing.assert_close(decoder.params(), truth(at, at + 1)[:, 0], rtol=1e-9, atol=1e-9)
            decoder.push(values[:, 0])
        elif what == "back":
            decoder.rewind(int(rng.integers(max(at - 12, 0), at + 1)))
        else:
            take = decoder.resample if what == "particles" else decoder.select
            take(torch.from_numpy(np.sort(rng.integers(0, 5, 5))))


def test_either_draws_the_same_images(random_model, monkeypatch):
    model = random_model("gated_pixelcnn", ImageSpec(1, 6, 8, 3), channels=16, dilations=(1, 1, 1), head=8)
    drawn = []
    for many in (1, 10**9):
        monkeypatch.setattr(gated_decoder, "MANY", many)
        drawn.append(sample(model, 9, SampleSettings(seed=3), method="blocks").values)
    assert np.array_equal(*drawn)


@pytest.mark.parametrize("dilations", [(1, 1, 1), (1, 2, 1), (1, 1, 3)])
@pytest.mark.parametrize("kernel", [3, 5])
def test_rows_that_were_let_go_are_entered_again(kernel, dilations, random_model, monkeypatch):
    monkeypatch.setattr(gated_decoder, "MANY", 1)
    spec, rng = ImageSpec(1, 9, 4, 3), np.random.default_rng(0)
    model = random_model("gated_pixelcnn", spec, 2, channels=6, kernel=kernel, dilations=dilations, head=6, dtype=torch.float64)
    decoder = model.decoder(5, torch.arange(5) % 2)

    def draw(rows, images):
        for row in rows:
            decoder.enter(images, row)
            decoder.x[images, :, row] = torch.from_numpy(rng.integers(0, 3, (len(images), 1, 4)))
            seen = decoder.look(np.repeat(images, 4), np.tile(np.arange(4) + 4 * row, len(images)))
            expected = model(decoder.x, decoder.classes).detach()[images][:, :, 0, row].transpose(1, 2).flatten(0, 1)
            torch.testing.assert_close(seen[:, 0], expected, rtol=1e-9, atol=1e-9)

    everybody = np.arange(5)
    draw(range(9), everybody)
    draw([5, 6], np.array([1, 2, 4]))                     # some go back, each further than the buffer remembers
    draw([2, 3, 4], np.array([0, 3]))
    before = decoder.snapshot()
    draw([4, 5, 6], everybody)
    decoder.select(torch.tensor([4, 0, 0, 2, 1]))
    draw([7, 8, 0, 1, 2], everybody)
    decoder.restore(before)
    draw([7, 8], np.array([1, 2, 4]))
    draw([5], np.array([0, 3]))


def test_a_change_far_above_gives_what_drawing_from_the_start_gives(random_model, monkeypatch):
    model = random_model("gated_pixelcnn", ImageSpec(1, 12, 8, 2), channels=8, dilations=(1, 1, 1), head=8)
    images = []
    for many in (1, 10**9):
        monkeypatch.setattr(gated_decoder, "MANY", many)
        sampler = Sampler(model, SampleSettings(seed=5), 6, method="blocks")
        for index, step in ((2, 70), (4, 9)):
            sampler.run()
            sampler.change(index, step, 1 - sampler.trace.values[index, step])
        images.append(sampler.run().values)
    assert np.array_equal(*images)


@pytest.mark.parametrize("many", [1, 10**9], ids=["tiled", "dense"])
def test_particles_that_become_one_class_follow_it(many, random_model, monkeypatch):
    monkeypatch.setattr(gated_decoder, "MANY", many)
    model = random_model("gated_pixelcnn", ImageSpec(1, 4, 8, 4), 3, channels=9, dilations=(1, 1, 1), head=9)
    particles, index = model.decoder(4, torch.tensor([0, 1, 1, 1])), torch.tensor([1, 1, 2, 3])
    others, values = model.decoder(4, torch.tensor([1, 1, 1, 1])), torch.tensor([1, 2, 3, 0])
    for step in range(model.spec.sites):
        if step == 11:
            particles.resample(index)
            values = values[index]
        elif step > 11:
            torch.testing.assert_close(particles.params(), others.params(), rtol=1e-4, atol=1e-5)
        else:
            particles.params()
        others.params()
        particles.push(values)
        others.push(values if step >= 11 else values[index])
