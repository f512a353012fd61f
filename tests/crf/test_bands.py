"""Images of any number of bands, other features beside them, and sigmas that differ by direction."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlseg.crf import CRFParams, DenseCRF
from dlseg.crf.exact import ExactKernel
from dlseg.crf.lattice.structure import Lattice
from dlseg.crf.torch_lattice import SparseLattice

ALL = ["lattice", "exact", "local", "pydensecrf"]
P = CRFParams(4, 12, 15, 2, 2, 4)


def needs(kernel):
    if kernel == "pydensecrf":
        pytest.importorskip("pydensecrf", reason='pydensecrf is not installed: kernel="pydensecrf" is not tested')


def bands_of(scene, seed, height, width, classes, bands, noise, wrong):
    """A scene whose regions differ in every one of `bands` bands."""
    _image, truth, probs = scene(seed, height, width, classes, noise, wrong)
    rng = np.random.default_rng(seed)
    levels = np.linspace(30, 225, classes)
    colours = np.stack([rng.permutation(levels) for _ in range(bands)], 1)
    picture = (colours[truth] + rng.normal(0, noise, (height, width, bands))).clip(0, 255)
    return picture.astype(np.uint8), truth, probs


@pytest.mark.slow
@settings(max_examples=24, deadline=None, derandomize=True)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(24, 48), st.integers(24, 48), st.integers(2, 4)),
    st.integers(1, 6),
    st.sampled_from(["after", "symmetric"]),
)
def test_near_the_exact_crf(scene, near_the_exact_crf, seed, shape, bands, normalization):
    """As test_inference holds RGB images to it."""
    rng = np.random.default_rng(seed)
    noise = rng.uniform(0, 10)
    image, _, probs = bands_of(scene, seed, *shape, bands, noise, rng.uniform(0, 0.2))
    near_the_exact_crf(image, probs, rng, noise, normalization)


@pytest.mark.parametrize("bands", [1, 2, 4, 6, 13])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_compiled_lattice_is_torchs(bands, threads):
    rng = np.random.default_rng(bands)
    colours = rng.integers(0, 256, (23 * 31, bands)).astype(np.float32)
    sigmas = (7.3, 4.1, *rng.uniform(20, 70, bands).tolist())
    ys, xs = np.mgrid[:23, :31].astype(np.float32)
    features = np.concatenate([xs.reshape(-1, 1), ys.reshape(-1, 1), colours], 1) / np.array(sigmas, np.float32)
    lattice, other = Lattice(colours, 31, sigmas, threads), SparseLattice(torch.from_numpy(features))
    assert lattice.points == other.count
    field = rng.random(len(colours)).astype(np.float32)
    np.testing.assert_allclose(
        lattice.filter(field), other.filter(torch.from_numpy(field)[:, None])[:, 0], rtol=2e-3, atol=1e-5
    )


@pytest.mark.parametrize("kernel", ALL)
def test_the_ways_to_give_a_grey_image_are_one(scene, kernel):
    needs(kernel)
    image, _, probs = scene(1, 20, 24)
    grey = image[..., 0]
    q = DenseCRF(grey, probs=probs, kernel=kernel).infer(P)
    np.testing.assert_array_equal(DenseCRF(grey[..., None], probs=probs, kernel=kernel).infer(P), q)
    stacked = DenseCRF(np.stack([grey] * 3, -1), probs=probs, kernel="exact").infer(
        replace(P, sigma_beta=P.sigma_beta * 3**0.5)
    )
    np.testing.assert_allclose(DenseCRF(grey, probs=probs, kernel="exact").infer(P), stacked, atol=1e-5)


@pytest.mark.parametrize("kernel", ALL)
@pytest.mark.parametrize("bands", [1, 2, 5])
def test_a_feature_in_its_own_units_is_a_band(scene, alike, kernel, bands):
    needs(kernel)
    image, _, probs = bands_of(scene, 2, 24, 26, 3, bands + 1, 6.0, 0.2)
    depth = image[..., -1].astype(np.float64) / 100 - 7  # metres; sigma_beta of 15 is 0.15 of them
    whole = DenseCRF(image, probs=probs, kernel=kernel).infer(P)
    apart = DenseCRF(image[..., :-1], probs=probs, features=[(depth, 0.15)], kernel=kernel).infer(P)
    agreement, difference = alike(whole, apart)
    assert agreement >= 0.999 and difference <= 1e-3


def test_features_decide_what_colours_do_not(scene):
    _, truth, probs = scene(3, 30, 30, 3, wrong=0.3)
    flat, edge = np.full((30, 30, 3), 90, np.uint8), truth.astype(np.float32)
    p = CRFParams(6, 30, 10, 1, 1, 10)
    for kernel in ("lattice", "exact"):
        blind = DenseCRF(flat, probs=probs, kernel=kernel).label(p)
        seeing = DenseCRF(flat, probs=probs, features=[(edge, 0.2)], kernel=kernel).label(p)
        assert np.mean(seeing == truth) > 0.97 > np.mean(blind == truth)


@pytest.mark.parametrize("kernel", ALL)
def test_all_that_takes_an_image_takes_bands_features_and_two_sigmas(scene, kernel):
    needs(kernel)
    image, _, probs = bands_of(scene, 4, 20, 26, 3, 4, 6.0, 0.2)
    p = replace(P, sigma_alpha=(4, 12), sigma_gamma=(1, 3))
    crf = DenseCRF(image, probs=probs, features=[(image[..., :2], 30.0), (image[..., 0], 9)], kernel=kernel)
    q = crf.infer(p)
    assert np.isfinite(q).all()
    np.testing.assert_array_equal(crf.label(p), q.argmax(axis=0))
    assert [*crf.steps(p)][-1].q.shape == crf.preview(p).shape == q.shape
    near = crf.affinity(p, 10, 12)
    assert near.appearance.shape == (20, 26) and near.smoothness[10, 14] > near.smoothness[12, 12] - 1e-9


@pytest.mark.parametrize("kernel", ["lattice", "local", "pydensecrf"])
def test_two_sigmas_are_down_and_across(scene, alike, kernel):
    needs(kernel)
    image, _, probs = scene(5, 24, 30)
    p = replace(P, sigma_alpha=(4, 20), sigma_gamma=(1, 3))
    q = DenseCRF(image, probs=probs, kernel=kernel).infer(p)
    turned = DenseCRF(image.transpose(1, 0, 2), probs=probs.transpose(0, 2, 1), kernel=kernel).infer(
        replace(p, sigma_alpha=(20, 4), sigma_gamma=(3, 1))
    )
    agreement, difference = alike(q, turned.transpose(0, 2, 1))
    assert agreement >= 0.99 and difference <= 5e-3
    if kernel != "local":
        agreement, difference = alike(q, DenseCRF(image, probs=probs, kernel="exact").infer(p))
        assert agreement >= 0.99 and difference <= 5e-3
    same = replace(P, sigma_alpha=(12, 12))
    np.testing.assert_array_equal(
        DenseCRF(image, probs=probs, kernel=kernel).infer(same),
        DenseCRF(image, probs=probs, kernel=kernel).infer(P),
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_flow_beside_bands_and_features(scene, alike, dtype):
    image, _, probs = bands_of(scene, 6, 20, 22, 3, 2, 6.0, 0.2)
    p, features = replace(P, sigma_alpha=(6, 12)), [(image[..., 0] / 50, 0.5)]
    unary = torch.from_numpy(probs).to(dtype).requires_grad_()
    q = DenseCRF(image, probs=unary, features=features).infer(p)
    q.square().sum().backward()
    assert unary.grad.isfinite().all() and unary.grad.abs().max() > 0
    agreement, difference = alike(DenseCRF(image, probs=probs, features=features).infer(p), q.detach().numpy())
    assert agreement >= 0.999 and difference <= 1e-3


def test_the_exact_kernel_tells_sigmas_apart_where_the_last_pixel_is_black(scene):
    image, _, probs = scene(7, 12, 14)
    image[-1, -1] = 0
    crf = DenseCRF(image, probs=probs, kernel="exact")
    for p in (P, replace(P, sigma_beta=90.0)):
        np.testing.assert_array_equal(crf.infer(p), DenseCRF(image, probs=probs, kernel="exact").infer(p))


def test_the_exact_kernel_keeps_a_few_settings_only(scene):
    image, _, _ = scene(7, 12, 14)
    kernel = ExactKernel(np.asarray(image, np.float32))
    for sigma in range(1, 40):
        list(kernel.weighted(replace(P, sigma_beta=float(sigma))))
    assert len(kernel.row_sums) <= 8


FLAT, EVEN = np.full((8, 9), 50, np.uint8), np.full((2, 8, 9), 0.5)


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (FLAT, "features: got ndarray, expected a list of"),
        ([FLAT], r"features\[0\]: got ndarray, expected a list"),
        ([(FLAT, 1), (FLAT[:5], 1)], r"features\[1\]: got shape \(5, 9, 1\), expected \(8, 9\)"),
        ([(FLAT, 0)], r"features\[0\]: got sigma 0, expected a number from 0.001"),
        ([(FLAT, (1, 2))], r"features\[0\]: got sigma \(1, 2\), expected a number"),
        ([(FLAT / np.nan, 1)], r"features\[0\]: got NaN or infinity"),
        ([(np.eye(8, 9) * 1e9, 1)], r"features\[0\]: got values 1e\+09 sigmas apart"),
        (
            [(np.zeros((8, 9, 13)), 1)],
            "features: got 13 numbers a pixel beside 1 of the image, expected at most 13",
        ),
    ],
)
def test_bad_features_are_named(features, words):
    with pytest.raises((TypeError, ValueError), match=f"^{words}"):
        DenseCRF(FLAT, probs=EVEN, features=features)
