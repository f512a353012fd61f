"""Draws are made of integers: the same on every machine, and fair."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlseg.datasets.shapes.rng import Dice


def test_known_draws() -> None:
    dice = Dice(0, 1, 2)
    words = np.random.PCG64(np.random.SeedSequence((0, 1, 2))).random_raw(3)
    assert dice.below(1000) == int(words[0]) // 2**32 * 1000 // 2**32
    assert dice.real(2.0, 4.0) == 2.0 + 2.0 * (int(words[1]) // 2**11 / 2**53)
    assert dice.pick("abc") == "abc"[int(words[2]) // 2**32 * 3 // 2**32]


def test_the_bit_stream_is_the_one_the_files_were_made_with() -> None:
    assert Dice(0, 1, 2).below(2**32) == 3786887862


@given(st.integers(0, 2**40), st.integers(1, 2**32))
def test_below_stays_below(key: int, n: int) -> None:
    assert 0 <= Dice(key).below(n) < n


def test_keys_do_not_run_together() -> None:
    draws = {Dice(*key).below(2**32) for key in [(0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 1, 1), (0, 0, 2)]}
    assert len(draws) == 5


def test_grain_is_standard_noise() -> None:
    grain = Dice(5).grain(200, 200)
    # 120,000 draws: the standard error of the mean is 0.003, of the variance 0.004
    assert grain.mean() == pytest.approx(0, abs=0.015)
    assert grain.var() == pytest.approx(1, abs=0.02)


def test_uniform_fills_the_unit_interval() -> None:
    values = Dice(6).uniform(100, 100)
    assert values.min() >= 0 and values.max() < 1
    assert np.histogram(values, 10, (0, 1))[0].min() > 850  # 1,000 expected, standard deviation 30
