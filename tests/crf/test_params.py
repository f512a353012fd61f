"""CRFParams: frozen, checked, JSON both ways, and the authors' own values."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlseg.crf import CRFParams

length = st.floats(1e-3, 1e6)
either = st.one_of(length, st.tuples(length, length))
params = st.builds(
    CRFParams,
    w1=st.floats(0, 1e6),
    sigma_alpha=either,
    sigma_beta=length,
    w2=st.integers(0, 100),
    sigma_gamma=either,
    iterations=st.integers(1, 50),
    normalization=st.sampled_from(["after", "symmetric", "before", "none"]),
)


@given(params)
def test_json_gives_back_an_equal_object(p: CRFParams) -> None:
    assert CRFParams.from_json(p.to_json()) == p


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("w1", -1),
        ("w1", math.nan),
        ("w2", -0.5),
        ("w2", math.inf),
        ("sigma_alpha", 0),
        ("sigma_beta", 0.0),
        ("sigma_beta", -3),
        ("sigma_gamma", 1e-9),
        ("sigma_gamma", 1e9),
        ("iterations", 0),
        ("iterations", -1),
        ("normalization", "no"),
        ("sigma_alpha", (1, 2, 3)),
        ("sigma_gamma", (0, 2)),
        ("sigma_alpha", (1, "2")),
        ("sigma_beta", (1, 2)),
        ("w1", "5"),
        ("w1", True),
        ("iterations", 2.5),
        ("iterations", None),
    ],
)
def test_a_bad_value_is_one_error_that_names_the_field(field: str, value: object) -> None:
    with pytest.raises((ValueError, TypeError), match=f"^{field}: got .*expected"):
        CRFParams(**{field: value})


@pytest.mark.parametrize("text", ["", "[1]", '{"sxy": 3}', '{"w1": "a"}', '{"iterations": 0}', '{"w1": NaN}'])
def test_bad_json_is_one_error(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        CRFParams.from_json(text)


def test_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        CRFParams().w1 = 3


def test_presets_keep_the_papers_smoothness_kernel() -> None:
    presets = CRFParams.presets()
    assert presets["deeplab-largefov"] == CRFParams(4, 121, 5, 3, 3, 10, "after")
    assert {(p.w2, p.sigma_gamma, p.iterations) for p in presets.values()} == {(3.0, 3.0, 10)}


def test_scaled_changes_lengths_only() -> None:
    p = CRFParams(4, 121, 5, 3, 3)
    assert p.scaled(0.5) == CRFParams(4, 60.5, 5, 3, 1.5)
    assert CRFParams(sigma_gamma=0.001).scaled(0.5) == CRFParams(sigma_alpha=25, sigma_gamma=0.001)
    with pytest.raises(ValueError, match="factor"):
        p.scaled(0)


def test_a_length_may_be_two() -> None:
    p = CRFParams(sigma_alpha=(30, 60), sigma_gamma=[1, 2])
    assert p.sigma_alpha == (30.0, 60.0) and p.sigma_gamma == (1.0, 2.0)
    assert p.scaled(0.5) == CRFParams(sigma_alpha=(15, 30), sigma_gamma=(0.5, 1))
    assert CRFParams(sigma_alpha=(7, 7)) == CRFParams(sigma_alpha=7)
    assert hash(p) != hash(CRFParams())
