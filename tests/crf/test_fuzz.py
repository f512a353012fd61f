"""Anything at all as input: never a crash, a hang, a NaN, a wrong shape or a changed input."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dlseg.crf import CRFParams, DenseCRF

KERNELS = ["lattice", "exact", "local"]
weights = st.one_of(st.sampled_from([0.0, 1e6]), st.floats(-3, 3).map(lambda x: 10**x))
sigmas = st.one_of(st.sampled_from([1e-3, 1e6]), st.floats(-2, 3).map(lambda x: 10**x))
params = st.builds(
    CRFParams,
    weights,
    sigmas,
    sigmas,
    weights,
    sigmas,
    st.integers(1, 12),
    st.sampled_from(["after", "symmetric", "before", "none"]),
)
shapes = st.tuples(st.integers(2, 26), st.integers(1, 14), st.integers(1, 14))


def picture(rng, kind, height, width):
    """Noise, one colour, black, white, stripes, a slope."""
    ys, xs = np.mgrid[:height, :width]
    plane = {"one": ys * 0 + 77, "black": ys * 0, "white": ys * 0 + 255, "stripes": xs % 2 * 255, "slope": ys + xs}
    return rng.integers(0, 256, (height, width, 3)) if kind == "noise" else np.stack([plane[kind]] * 3, -1)


def unary(rng, kind, classes, height, width):
    """Probabilities: soft, nearly certain, certain (zeros among them), undecided."""
    if kind == "even":
        return np.full((classes, height, width), 1 / classes)
    if kind == "certain":
        return (np.arange(classes)[:, None, None] == rng.integers(0, classes, (height, width))).astype(float)
    probs = rng.dirichlet(np.full(classes, {"soft": 1.0, "sharp": 0.02}[kind]), (height, width)) + 1e-300
    return (probs / probs.sum(axis=2, keepdims=True)).transpose(2, 0, 1)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    shapes,
    params,
    st.sampled_from(KERNELS),
    st.booleans(),
    st.sampled_from(["noise", "one", "black", "white", "stripes", "slope"]),
    st.sampled_from(["soft", "sharp", "certain", "even"]),
    st.sampled_from(["u1", "i2", "f4", "f8", ">f8"]),
    st.sampled_from(["f4", "f8"]),
    st.integers(1, 3),
)
def test_whatever_is_allowed_gives_probabilities(
    seed, shape, p, kernel, potts, image_kind, unary_kind, image_type, unary_type, threads
):
    rng = np.random.default_rng(seed)
    classes, height, width = shape
    image = picture(rng, image_kind, height, width).astype(image_type)
    if image_type[-2] == "f" and 0 < image.max() <= 1:
        image *= 255  # colours from 0 to 1 are refused
    probs = unary(rng, unary_kind, classes, height, width).astype(unary_type)
    costs = rng.normal(size=(classes, classes))
    kept = image.copy(), probs.copy()
    crf = DenseCRF(
        image, probs=probs, kernel=kernel, compatibility=None if potts else costs + costs.T, threads=threads
    )
    for q in (crf.infer(p), crf.preview(p)):
        assert q.shape == shape and q.dtype == np.float32
        assert np.isfinite(q).all() and q.min() >= 0
        np.testing.assert_allclose(q.sum(axis=0), 1, atol=1e-4)
    for rows in crf.affinity(p, height - 1, width // 2):
        assert rows.shape == (height, width) and np.isfinite(rows).all()
    np.testing.assert_array_equal(image, kept[0])
    np.testing.assert_array_equal(probs, kept[1])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), shapes, st.floats(0, 1e30), st.sampled_from(["f2", "f4", "f8"]))
def test_logits_of_any_size(seed, shape, size, kind):
    rng = np.random.default_rng(seed)
    logits = (rng.normal(size=shape) * min(size, 1e4 if kind == "f2" else size)).astype(kind)
    q = DenseCRF(picture(rng, "noise", *shape[1:]), logits=logits, threads=1).infer(CRFParams(iterations=2))
    assert np.isfinite(q).all()
    np.testing.assert_allclose(q.sum(axis=0), 1, atol=1e-4)


anything = st.one_of(
    st.none(),
    st.text(max_size=3),
    st.integers(-5, 300),
    st.floats(),
    st.lists(st.integers(-1, 256), max_size=3),
    hnp.arrays(
        st.one_of(
            hnp.integer_dtypes(),
            hnp.unsigned_integer_dtypes(),
            hnp.floating_dtypes(),
            hnp.boolean_dtypes(),
            hnp.complex_number_dtypes(),
            hnp.datetime64_dtypes(),
        ),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    ),
)


names = st.sampled_from(["probs", "logits", "labels", "compatibility"])
users_view = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(users_view, max_examples=300)
@given(anything, anything, names, st.sampled_from(KERNELS))
def test_whatever_is_not_allowed_is_one_clear_exception(as_users_see_it, image, value, name, kernel):
    good, labels = np.zeros((2, 3, 3), np.uint8), {"labels": [[0, 1, 255], [255, 1, 0]]}
    some = {name: value, **(labels if name == "compatibility" else {})}
    for picture_, arguments in ((image, labels), (good, some)):
        try:
            q = DenseCRF(picture_, **arguments, kernel=kernel, threads=1).infer(CRFParams(iterations=2))
        except (ValueError, TypeError) as error:
            assert "got" in str(error) and "expected" in str(error), error
        else:
            assert np.isfinite(q).all() and q.ndim == 3


@settings(users_view, max_examples=200)
@given(
    st.dictionaries(
        st.sampled_from(["w1", "sigma_alpha", "sigma_beta", "w2", "sigma_gamma", "iterations", "normalization"]),
        st.one_of(
            st.none(),
            st.booleans(),
            st.floats(),
            st.integers(),
            st.text(max_size=9),
            st.lists(st.integers(), max_size=2),
            st.complex_numbers(),
        ),
        max_size=4,
    )
)
def test_parameters_are_right_or_refused(as_users_see_it, values):
    try:
        p = CRFParams(**values)
    except (ValueError, TypeError) as error:
        assert "got" in str(error) and "expected" in str(error), error
    else:
        assert CRFParams.from_json(p.to_json()) == p
