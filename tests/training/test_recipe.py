"""The paper's numbers as they stand in it, and every malformed recipe named with the nearest right value."""

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlseg.networks import create
from dlseg.training import Recipe
from dlseg.training.recipe import check_crop

SEGMENTATION = ["deeplab", "deeplab-7x7", "deeplab-4x4", "deeplab-largefov", "deeplab-msc", "deeplab-msc-largefov"]


def test_the_papers_solver() -> None:
    recipe = Recipe.paper("deeplab-largefov")
    assert (recipe.batch, recipe.lr, recipe.lr * recipe.classifier_lr_factor) == (20, 0.001, 0.01)
    assert (recipe.momentum, recipe.weight_decay, recipe.dropout) == (0.9, 0.0005, 0.5)
    assert [recipe.rate(i) for i in (0, 1999, 2000, 5999)] == pytest.approx([1, 1, 0.1, 0.01])
    assert (recipe.crop, recipe.label_offset) == (306, 1)


def test_the_released_solvers_extras() -> None:
    first, second = Recipe.release(), Recipe.release(stage=2)
    assert (first.crop, first.label_offset, first.batch, first.iterations) == (321, 0, 30, 6000)
    assert (first.bias_lr_factor, first.decay_biases, first.lr) == (2.0, False, 0.001)
    assert (second.lr, second.step_size, second.iterations) == (0.01, 3000, 12000)
    assert Recipe.release("deeplab").batch == 20


@pytest.mark.parametrize("variant", SEGMENTATION)
@pytest.mark.parametrize("geometry", ["paper", "release"])
def test_a_recipe_fits_the_geometry_of_its_name(variant: str, geometry: str) -> None:
    net, recipe = create(variant, 21, 1 / 16, geometry), getattr(Recipe, geometry)(variant)
    assert recipe.label_offset == net.grid.offset and net.input_size == (recipe.crop, recipe.crop)
    assert (recipe.crop - 1 - net.grid.offset) % net.grid.stride == 0


def test_poly() -> None:
    recipe = Recipe(schedule="poly", power=0.9, iterations=100)
    assert recipe.rate(0) == 1 and recipe.rate(75) == pytest.approx(0.25**0.9)


@given(height=st.integers(1, 5000), width=st.integers(1, 5000), geometry=st.sampled_from(["paper", "release"]))
def test_a_laptops_crop_fits_network_and_pictures(height: int, width: int, geometry: str) -> None:
    recipe = Recipe.laptop((height, width), geometry, iterations=7)
    check_crop(recipe.crop, 8, 1 if geometry == "paper" else 0)
    assert recipe == Recipe.shapes(crop=recipe.crop, iterations=7)
    side = min(height, width)
    low, high = (side / 2, side) if side >= 128 else (side, side)
    assert min(low, 258) - 4 <= recipe.crop <= min(max(high, 8), 258) + 6


def test_json_both_ways() -> None:
    weighted = [Recipe(class_weights="balanced"), Recipe(class_weights=(1.0, 0.5, 0.0))]
    for recipe in (Recipe(), Recipe.paper(), Recipe.release(stage=2), Recipe.shapes(seed=3), *weighted):
        assert Recipe.from_json(recipe.to_json()) == recipe
    assert Recipe.from_json("{}") == Recipe()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": -0.001}, r"lr: got -0.001, expected more than 0; nearest: 0.001"),
        ({"lr": float("nan")}, "lr: got nan, expected more than 0; nearest: 0.001"),
        ({"lr": "fast"}, "lr: got 'fast', expected a number"),
        ({"class_weights": "even"}, "class_weights: got 'even', expected None or 'balanced'"),
        ({"class_weights": {"sky": 1}}, "class_weights: got {'sky': 1}, expected 'balanced', or a number for each"),
        ({"class_weights": [1, -1]}, r"class_weights\[1\]: got -1"),
        ({"class_weights": [1, "a"]}, r"class_weights\[1\]: got 'a'"),
        ({"class_weights": [0, 0]}, r"class_weights: got \(0.*, expected a number over 0 for one class"),
        ({"crop": 0}, "crop: got 0, expected more than 0; nearest: 321"),
        ({"crop": 321.0}, "crop: got 321.0, expected a whole number"),
        ({"batch": True}, "batch: got True, expected a whole number"),
        ({"momentum": 1.0}, "momentum: got 1.0, expected 0 ≤ momentum < 1; nearest: 0.9"),
        ({"dropout": -0.5}, "dropout: got -0.5, .*; nearest: 0.5"),
        ({"weight_decay": -0.1}, "weight_decay: got -0.1, expected 0 or more; nearest: 0.1"),
        ({"schedule": "polly"}, "schedule: got 'polly', expected 'step' or 'poly'; nearest: poly"),
        ({"loss": "total"}, "loss: got 'total', expected 'mean' or 'sum'"),
        ({"channels": "RGB"}, "channels: got 'RGB'"),
        ({"precision": "float16"}, "precision: got 'float16', .*; nearest: bfloat16"),
        ({"label_offset": 2}, "label_offset: got 2, expected 0 or 1"),
        ({"mirror": 1}, "mirror: got 1, expected True or False"),
        ({"label_offset": 0, "crop": 320}, r"crop: got 320, expected 8k \+ 1, .* \[::8\] .*; nearest: 321"),
        ({"label_offset": 1, "crop": 320}, r"crop: got 320, expected 8k \+ 2, .* \[1::8\] .*; nearest: 322"),
        ({"label_offset": 0, "crop": 324}, "nearest: 321"),
        ({"seed": -1}, "seed: got -1, expected 0 or more; nearest: 1"),
    ],
)
@pytest.mark.usefixtures("as_users_see_it")
def test_what_is_wrong_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        replace(Recipe(), **change)
    with pytest.raises((ValueError, TypeError), match=message):
        Recipe.from_json(json.dumps(asdict(Recipe()) | change))


def test_unknown_keys_and_what_is_no_recipe() -> None:
    for text, message in [
        ('{"learning_rate": 1}', "recipe: unknown learning_rate, expected some of crop, batch.*; nearest: lr"),
        ('{"momentun": 0.9}', "unknown momentun, .*; nearest: momentum"),
        ('{"weightdecay": 0.9, "batchnorm": 1}', "unknown batchnorm, weightdecay, .*batch_norm.*weight_decay"),
        ("[1]", "recipe: got a JSON list, expected an object of crop"),
        ("{", "recipe: not JSON"),
    ]:
        with pytest.raises(ValueError, match=message):
            Recipe.from_json(text)
    with pytest.raises(ValueError, match=r"variant: got 'deeplab-large', expected .*; nearest: deeplab-largefov"):
        Recipe.paper("deeplab-large")
    with pytest.raises(ValueError, match="variant: got 'vgg16'"):
        Recipe.paper("vgg16")


@given(st.integers(1, 2000), st.sampled_from([1, 8, 32]), st.sampled_from([0, 1]))
def test_the_nearest_crop_is_right_and_nearest(crop: int, stride: int, offset: int) -> None:
    def fits(n: int) -> bool:
        return n > 0 and (n - offset - 1) % stride == 0

    if fits(crop):
        check_crop(crop, stride, offset)
        return
    with pytest.raises(ValueError) as raised:
        check_crop(crop, stride, offset)
    near = int(str(raised.value).rpartition("nearest: ")[2])
    others = [n for n in range(1, crop + stride + 2) if fits(n)]
    assert fits(near) and abs(near - crop) == min(abs(n - crop) for n in others)


@pytest.mark.parametrize("name", ["iterations", "lr", "weight_decay", "momentum", "class_weights"])
def test_a_number_that_no_float_holds_is_refused(name: str) -> None:
    value = "[1e2, " + "9" * 400 + "]" if name == "class_weights" else "9" * 400
    with pytest.raises(ValueError, match=name):
        Recipe.from_json(f'{{"{name}": {value}}}')
