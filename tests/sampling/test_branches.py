"""Futures of one drawing: every branch is what a fresh sampler draws from its recipe, and none disturbs another."""

import numpy as np
import pytest

from arstudio.image import ImageSpec
from arstudio.models import save_model
from arstudio.models.orders import Order
from arstudio.sampling import BranchTree, Change, Recipe, Redraw, Sampler, SampleSettings, SettingsError

GREY, REAL = ImageSpec(1, 3, 4, 5), ImageSpec(1, 2, 3, 0)


def tree_of(model, recipe):
    tree = BranchTree.of(recipe.sampler(model), recipe)
    tree.run()
    return tree


@pytest.fixture(params=[
    ("gated_pixelcnn", "incremental", 0.0), ("nade", "jacobi", 0.0), ("pixelcnn", "naive", 0.0),
    ("gated_pixelcnn", "incremental", 1.5), ("rnade", "incremental", 0.0),
    ("gated_pixelcnn", "blocks", 0.0), ("gated_pixelcnn", "blocks", 1.5),
    ("pixelcnn", "wavefront", 0.0), ("pixelcnn", "wavefront", 1.5),
    ("gated_pixelcnn", "captured", 0.0), ("pixelcnn", "captured", 1.5),
], ids=lambda p: "-".join(map(str, p)))
def grown(request, random_model):
    """A tree with five branches, grown from places all over it, and its model."""
    name, method, guidance = request.param
    spec = REAL if name == "rnade" else GREY
    model = random_model(name, spec, 3, seed=4)
    recipe = Recipe(SampleSettings(seed=5, guidance=guidance), 2, 1, method=method)
    tree, value = tree_of(model, recipe), 0.5 if name == "rnade" else 4
    first = tree.root
    a = tree.grow([Change(0, 3, value)])
    tree.run()
    tree.grow([Change(1, 4, value), Change(0, 1, value)])
    tree.run()
    tree.walk_to(first)
    tree.grow(Redraw(2, seed=77))
    tree.run()
    tree.walk_to(a)
    tree.grow([Change(0, 5, value)])
    tree.run()
    return model, tree


def test_every_branch_is_what_its_recipe_draws(grown):
    model, tree = grown
    assert len(tree.branches()) == 5
    for branch in tree.branches():
        again = tree.recipe_of(branch).draw(model).trace
        assert np.array_equal(branch.trace.values, again.values), branch.name
        assert np.array_equal(branch.trace.origin, again.origin)
        assert np.allclose(branch.trace.log_probs, again.log_probs, atol=1e-6)


def test_a_branch_keeps_the_past_of_its_parent_and_both_stay_as_they_were(grown):
    _, tree = grown
    for branch in tree.branches()[1:]:
        assert np.array_equal(branch.trace.values[:, :branch.step], branch.parent.trace.values[:, :branch.step])
        found = branch.first_difference(branch.parent, branch.edits[0].image if isinstance(branch.edits[0], Change) else 0)
        assert found is None or found >= branch.step


def test_a_tree_begun_with_edits_draws_them_at_once(grown):
    model, tree = grown
    for branch in tree.branches():
        recipe = tree.recipe_of(branch)
        again = tree_of(model, recipe)
        assert np.array_equal(again.root.trace.values, branch.trace.values)
        assert again.recipe_of(again.root) == recipe


def test_recipes_survive_json_and_bad_ones_give_a_sentence(grown):
    import json

    _, tree = grown
    for branch in tree.branches():
        recipe = tree.recipe_of(branch)
        assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    for bad in ({}, {"settings": {"seed": "x"}}, {"settings": {}, "count": 0}, {"settings": {}, "edits": [{"a": 1}]},
                {"settings": {"temperature": -1}}, {"settings": []}, {"settings": {}, "count": "many"}):
        with pytest.raises(SettingsError, match="damaged"):
            Recipe.from_dict(bad)


def test_branching_a_drawing_that_is_not_finished_and_finishing_both(random_model):
    model = random_model("gated_pixelcnn", GREY, seed=4)
    recipe = Recipe(SampleSettings(seed=5), 2)
    tree = BranchTree.of(recipe.sampler(model), recipe)
    tree.sampler.run(until=6)
    branch = tree.grow([Change(0, 6, 2)])
    tree.run()
    assert branch.trace.complete
    assert tree.root.trace.cursor == 6
    tree.walk_to(tree.root)
    tree.run()
    assert np.array_equal(tree.root.trace.values, Recipe(SampleSettings(seed=5), 2).draw(model).trace.values)


def test_a_record_without_its_sampler_can_be_branched(grown):
    model, tree = grown
    old = tree.branches()[2]
    recipe = tree.recipe_of(old)
    record = BranchTree(recipe, old.trace.copy(), lambda: recipe.sampler(model))
    edit = Change(0, 2, old.trace.spec.top)
    branch = record.grow([edit])
    record.run()
    assert np.array_equal(branch.trace.values, record.recipe_of(branch).draw(model).trace.values)
    assert record.recipe_of(branch).edits == (*recipe.edits, edit)


def test_a_tree_that_rested_goes_on_as_if_it_had_not(grown):
    model, tree = grown
    tree.rest()
    assert tree.sampler is None
    tree.walk_to(tree.branches()[1])
    branch = tree.grow([Change(1, 4, tree.root.trace.spec.top)])
    tree.run()
    assert np.array_equal(branch.trace.values, tree.recipe_of(branch).draw(model).trace.values)


def test_edits_that_cannot_be_leave_the_tree_as_it_is(random_model):
    model = random_model("nade", GREY)
    tree = tree_of(model, Recipe(count=2))
    for edits in ([], [Change(0, 99, 1)], [Change(0, 1, 5)], [Change(2, 1, 1)], [Change(0, 1, 1), Change(0, -1, 1)]):
        with pytest.raises(SettingsError):
            tree.grow(edits)
    assert tree.branches() == [tree.root]


def test_old_branches_forget_their_distributions_first(random_model, monkeypatch):
    from arstudio.sampling import branches

    model = random_model("nade", GREY)
    tree = tree_of(model, Recipe(count=2))
    monkeypatch.setattr(branches, "PMF_BYTES", int(tree.root.trace.pmfs.nbytes * 2.5))
    for value in range(4):
        tree.grow([Change(0, 2, value)])
        tree.run()
    kept = [len(branch.trace.pmfs) for branch in tree.branches()]
    assert kept == [0, 0, 0, 2, 2]
    assert all(branch.trace.complete for branch in tree.branches())


def test_the_snippet_draws_the_same_pixels(random_model, tmp_path, capsys):
    model = random_model("eonade", GREY, 2, seed=3)
    path = tmp_path / "mine.safetensors"
    save_model(path, model, ("a", "b"))
    recipe = Recipe(
        SampleSettings(seed=8, temperature=0.8, top_k=4, top_p=0.9, guidance=0.5), 3, 1, "spiral", method="jacobi",
        edits=(Change(1, 4, 3), Redraw(7, 11), Change(1, 2, 0)),
    )
    names = {}
    exec(recipe.snippet(str(path), image=1), names)
    drawn = recipe.draw(model)
    assert np.array_equal(names["x"], drawn.trace.image(1))
    assert capsys.readouterr().out == f"{drawn.trace.nats(1):.4f} nats\n"


def test_another_order_draws_along_it(random_model):
    model = random_model("eonade", GREY, seed=3)
    recipe = Recipe(SampleSettings(seed=1), 1, None, "random", 5)
    trace = recipe.draw(model).trace
    assert np.array_equal(trace.order.pixels, Order("random", 3, 4, 5).pixels)
    assert isinstance(recipe.sampler(model), Sampler)
