"""Which settings are tried."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlseg.crf import CRFParams, Space


def test_the_papers_first_round():
    settings = Space().coarse()
    assert len(settings) == 96
    assert settings[0] == CRFParams(5, 50, 3, 3, 3, 10, "after")
    assert settings[1] == CRFParams(5, 50, 4, 3, 3, 10, "after")  # the authors' innermost loop
    assert settings[-1] == CRFParams(10, 100, 10, 3, 3, 10, "after")
    assert Space().steps() == (5.0, 10.0, 1.0, 0.0, 0.0)


def test_neighbours_may_leave_the_box_but_not_sense():
    space = Space()
    around = space.around(CRFParams(10, 100, 10), space.steps())
    assert {p.sigma_alpha for p in around} == {90.0, 100.0, 110.0}
    assert {p.w1 for p in around} == {5.0, 10.0, 15.0}
    assert {p.w2 for p in around} == {3.0}
    low = space.around(CRFParams(5, 50, 1), space.steps())
    assert {p.w1 for p in low} == {5.0, 10.0}  # never 0: that would be no kernel
    assert {p.sigma_beta for p in low} == {1.0, 2.0}


numbers = st.lists(st.floats(0.5, 500), min_size=1, max_size=2, unique_by=lambda v: round(v, 3))
values = numbers.map(sorted).map(tuple)


@settings(max_examples=30, deadline=None)
@given(values, values, values, st.integers(0, 3))
def test_json_gives_back_an_equal_space(w1, alpha, beta, halvings):
    space = Space(w1, alpha, beta, halvings=halvings)
    assert Space.from_json(space.to_json()) == space
    best = space.coarse()[-1]
    assert best in space.around(best, space.steps())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("w1", ()),
        ("w1", (5, 5)),
        ("sigma_alpha", (60, 50)),
        ("sigma_beta", (0, 1)),
        ("sigma_beta", 5),
        ("w1", "ab"),
        ("w2", (-1,)),
        ("halvings", -1),
        ("moves", 1.5),
        ("iterations", 0),
        ("normalization", "no"),
    ],
)
def test_a_bad_space_is_one_error_that_names_the_field(field, value):
    with pytest.raises((ValueError, TypeError), match=f"^{field}: got .*expected"):
        Space(**{field: value})


@pytest.mark.parametrize("text", ["", "[1]", '{"sxy": [3]}', '{"w1": []}'])
def test_bad_json_is_one_error(text):
    with pytest.raises(ValueError):
        Space.from_json(text)
