"""One dialect of error, and what it lets through."""

import doctest
import math

import numpy as np
import pytest

from dlseg.common import checks, files, json_objects, tables
from dlseg.common.checks import nearest, number, one_of, rgb_image, whole_number


@pytest.mark.parametrize("module", [checks, files, json_objects, tables])
def test_the_examples_run(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_whole_numbers_of_any_kind_are_taken(value: object) -> None:
    assert whole_number("n", value, 1, 3) == 3 and type(whole_number("n", value)) is int


@pytest.mark.parametrize("value", [True, np.True_, 2.0, "2", None, math.nan])
def test_what_is_no_whole_number_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"^n: got .* expected a whole number >= 0$"):
        whole_number("n", value)


@pytest.mark.parametrize("value", [0, 11])
def test_a_whole_number_out_of_range(value: int) -> None:
    with pytest.raises(ValueError, match=rf"^n: got {value}, expected a whole number from 1 to 10$"):
        whole_number("n", value, 1, 10)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.5])
def test_a_number_out_of_range(value: float) -> None:
    with pytest.raises(ValueError, match=r"^w1: got .*, expected a number >= 0$"):
        number("w1", value, 0)
    if not math.isfinite(value):
        with pytest.raises(ValueError, match="expected a finite number"):
            number("w1", value)


def test_one_of_keeps_true_and_one_apart() -> None:
    assert one_of("kind", "a", ("a", "b")) == "a" and one_of("flag", True, (True, False)) is True
    with pytest.raises(ValueError, match="expected 1 or 2"):
        one_of("count", True, (1, 2))
    with pytest.raises(ValueError, match=r"kind: got 'latice', expected 'lattice' or 'exact'; nearest: lattice"):
        one_of("kind", "latice", ("lattice", "exact"))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3)),
        np.zeros((4, 5, 3), np.uint8),
        [[[0, 0, 0]]],
    ],
)
def test_what_is_no_rgb_image(image: object) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^image: got .* expected .*of uint8$"):
        rgb_image("image", image, (4, 4))


def test_the_nearest_word() -> None:
    assert nearest("learning_rate", ["lr", "momentum"]) == "; nearest: lr" and nearest("zzz", ["lr"]) == ""


@pytest.mark.parametrize("value", [10**400, -(10**400)])
def test_a_whole_number_that_no_float_holds_is_out_of_range(value: int) -> None:
    with pytest.raises(ValueError, match=r"^w1: got -?inf, expected a number from 0 to 1"):
        number("w1", value, 0, 1)
