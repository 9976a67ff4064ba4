"""Two samplers of one drawing that stop anywhere, go back, change pixels and draw anew, and must agree at every stop."""

import numpy as np


def same(one, other):
    """Two traces hold the same values from the same sources, and figures that agree as far as float32 can."""
    assert np.array_equal(one.values, other.values)
    assert np.array_equal(one.origin, other.origin)
    np.testing.assert_allclose(one.log_probs, other.log_probs, atol=1e-4)
    np.testing.assert_allclose(one.entropies, other.entropies, atol=1e-4)
    np.testing.assert_allclose(one.pmfs, other.pmfs, atol=1e-4)


def wander(pair, rounds, known=None):
    """Take both samplers the same random way, with (H, W) bool `known` pixels that nobody may change, and finish the drawing:
    they stand at the same values whenever they stop, and are the `same` at the end."""
    spec = pair[0].trace.spec
    rng = np.random.default_rng(spec.sites)
    for _ in range(rounds):
        until, index, what = int(rng.integers(1, spec.sites + 1)), int(rng.integers(3)), rng.choice(["back", "change", "anew"])
        for sampler in pair:
            sampler.run(until=until)
        cursor = pair[0].trace.cursor
        assert cursor == pair[1].trace.cursor
        assert np.array_equal(*(sampler.trace.values[:, :cursor] for sampler in pair))
        step = int(rng.integers(0, cursor))
        value = (int(pair[0].trace.values[index, step]) + 1) % spec.levels
        if what == "change" and known is not None and known[pair[0].trace.site(step)[1:]]:
            what = "back"
        for sampler in pair:
            if what == "back":
                sampler.rewind(step)
            elif what == "change":
                sampler.change(index, step, value)
            else:
                sampler.redraw(step, seed=5)
    same(*(sampler.run() for sampler in pair))
