"""The 34 ways in which other CRF codes were seen to crash or to give a wrong answer silently, one test each.

Every one is impossible here, or one clear exception that says what came and what was expected.
"""

import inspect
import re
from dataclasses import replace

import joblib
import numpy as np
import pytest
import torch

from dlseg.crf import CRFParams, DenseCRF, Scored, Space, binary, refine, search

H, W, C = 12, 16, 3
P = CRFParams(4, 6, 20, 3, 2, 3)
ALL = ["lattice", "exact", "local"]


@pytest.fixture
def picture(scene):
    image, _, probs = scene(0, H, W, C)
    return image, probs


def refused(words, error=ValueError, **arguments):
    """One clear exception: the argument's name, what came, what was expected."""
    image = arguments.pop("image", np.full((H, W, 3), 100, np.uint8))
    with pytest.raises(error, match=words) as caught:
        DenseCRF(image, **arguments).infer(P)
    assert re.match(r"\w+: got .* expected ", str(caught.value), re.DOTALL), caught.value


def same(image, probs, other_image, other_probs):
    """The same answer from inputs that hold the same numbers, and those left as they were."""
    before = np.asarray(other_image).copy(), np.asarray(other_probs).copy()
    for kernel in ALL:
        expected = DenseCRF(image, probs=probs, kernel=kernel).infer(P)
        got = DenseCRF(other_image, probs=other_probs, kernel=kernel).infer(P)
        np.testing.assert_allclose(np.asarray(got), expected, atol=1e-6)
    np.testing.assert_array_equal(before[0], np.asarray(other_image))
    np.testing.assert_array_equal(before[1], np.asarray(other_probs))


def test_01_read_only_arrays_are_accepted(picture):
    image, probs = picture
    image2, probs2 = image.copy(), probs.copy()
    image2.flags.writeable = probs2.flags.writeable = False
    same(image, probs, image2, probs2)
    same(image, probs, np.frombuffer(image.tobytes(), np.uint8).reshape(image.shape), probs)
    same(image, probs, torch.from_numpy(image), torch.from_numpy(probs))


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64, np.int16, ">f8", ">i4"])
def test_02_any_number_type_is_accepted(picture, kind):
    image, probs = picture
    same(image, probs, image.astype(kind), probs.astype(np.float64))


def test_03_non_contiguous_arrays_are_accepted(picture):
    image, probs = picture
    same(image, probs, np.repeat(image, 2, axis=1)[:, ::2], np.ascontiguousarray(probs[::-1])[::-1])
    same(image, probs, np.asfortranarray(image), np.moveaxis(np.ascontiguousarray(np.moveaxis(probs, 0, 2)), 2, 0))


def test_04_channels_last_scores_are_refused_reshaped_or_not(picture):
    _, probs = picture
    last = np.ascontiguousarray(probs.transpose(1, 2, 0))
    refused(r"probs: got shape \(12, 16, 3\).*transpose\(2, 0, 1\)", probs=last)
    refused("probs: got sums other than 1 at .* pixels", probs=last.reshape(C, H, W))  # the airbrush
    refused(r"probs: got shape \(3, 192\)", probs=last.reshape(C, -1))


def test_05_there_is_no_width_and_height_to_swap(picture):
    image, probs = picture
    assert not {"width", "height", "w", "h"} & set(inspect.signature(DenseCRF).parameters)
    refused("height and width are swapped", image=image, probs=probs.transpose(0, 2, 1))


def test_06_a_wrong_size_names_both_shapes():
    refused(r"probs: got shape \(3, 9, 16\).*\(C, 12, 16\)", probs=np.full((C, 9, W), 1 / C))
    refused(r"labels: got shape \(9, 16\).*\(12, 16\)", labels=np.zeros((9, W), int))


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((3, H, W), "transpose"),
        ((1, H, W, 3), "RGB"),
        ((H, W, 14), "RGB"),
        ((0, W, 3), "RGB"),
        ((H, W, 0), "RGB"),
        ((W,), "RGB"),
    ],
)
def test_07_channels_first_and_other_shapes_of_images_are_refused(shape, hint):
    refused(f"image: got .*{hint}", image=np.zeros(shape, np.uint8), probs=np.full((C, H, W), 1 / C))


@pytest.mark.parametrize("shape", [(C,), (C, H * W), (2, C, H, W), (H * W, C), ()])
def test_08_scores_of_any_other_shape_are_refused(shape):
    refused("probs: got shape", probs=np.full(shape, 1 / C))
    refused("logits: got shape", logits=np.zeros(shape))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.nan, "NaN or infinity at 1 of 192"),
        (np.inf, "NaN or infinity"),
        (0.0, "sums other than 1 at 1 of 192.*row 2, column 5"),
    ],
)
def test_09_one_bad_pixel_is_refused_and_counted(picture, value, words):
    probs = picture[1].copy()
    probs[:, 2, 5] = value
    refused(words, probs=probs)
    if not np.isfinite(value):
        refused("logits: got NaN or infinity at 1 of 192", logits=probs)


@pytest.mark.parametrize("kernel", ALL)
def test_10_a_probability_of_zero_does_not_kill_a_label(kernel):
    probs = np.zeros((2, H, W), np.float32)
    probs[1], probs[:, 5, 5] = 1, [1, 0]
    with np.errstate(all="raise"):
        q = DenseCRF(np.full((H, W, 3), 9, np.uint8), probs=probs, kernel=kernel).infer(replace(P, w1=40))
    assert np.isfinite(q).all()
    assert q[1, 5, 5] > 0.5  # its neighbours overrule it: 0 counts as 1e-5, as the docstring says
    assert "1e-5" in DenseCRF.__doc__


def test_11_logits_are_not_taken_for_probabilities(picture):
    logits = np.log(picture[1]) * 3
    refused("probs: got values from .*logits=", probs=logits)
    refused("probs: got values from .*logits=", probs=logits - logits.min())
    refused("probs: got sums other than 1", probs=picture[1] * 0.5)


def test_12_there_is_no_energy_whose_sign_could_be_wrong(picture):
    image, probs = picture
    refused("probs: got values", probs=-np.log(probs))
    refused("probs: got values", probs=np.log(probs))
    with pytest.raises(TypeError):
        DenseCRF(image, unary=-np.log(probs))
    with pytest.raises(TypeError):
        DenseCRF(image, probs)  # by name only


def test_13_weights_reward_and_matrices_cost(picture):
    image, probs = picture
    with pytest.raises(ValueError, match="w1: got -4"):
        CRFParams(w1=-4)
    for kernel in ALL:
        potts = DenseCRF(image, probs=probs, kernel=kernel).infer(P)
        matrix = DenseCRF(image, probs=probs, kernel=kernel, compatibility=1 - np.eye(C)).infer(P)
        np.testing.assert_allclose(matrix, potts, atol=1e-5)


@pytest.mark.parametrize(
    "matrix",
    [
        np.ones(3),
        np.ones((2, 2)),
        np.ones((3, 4)),
        np.float64(1),
        np.full((3, 3), np.nan),
        np.triu(np.ones((3, 3))),
    ],
)
def test_14_a_compatibility_of_another_size_is_refused(picture, matrix):
    refused("compatibility: got", probs=picture[1], compatibility=matrix)


@pytest.mark.parametrize("name", ["sigma_alpha", "sigma_beta", "sigma_gamma"])
def test_15_a_sigma_is_more_than_zero_and_small_ones_are_fine(picture, name):
    for value in (0, -1, 1e-9, float("nan")):
        with pytest.raises(ValueError, match=f"{name}: got .*expected"):
            CRFParams(**{name: value})
    for kernel in ALL:
        q = DenseCRF(picture[0], probs=picture[1], kernel=kernel).infer(replace(P, **{name: 0.001}))
        assert np.isfinite(q).all()


def test_16_iterations_are_at_least_one():
    for value in (0, -1):
        with pytest.raises(ValueError, match=r"iterations: got .*expected"):
            CRFParams(iterations=value)
    with pytest.raises(TypeError, match=r"iterations: got 2\.5"):
        CRFParams(iterations=2.5)


def test_17_there_is_no_crf_without_a_unary(picture):
    image, probs = picture
    with pytest.raises(TypeError, match="got none, expected one"):
        DenseCRF(image)
    with pytest.raises(TypeError, match="got probs and logits, expected one"):
        DenseCRF(image, probs=probs, logits=probs)


def test_18_one_label_is_refused_and_a_foreground_map_has_a_helper(picture):
    refused("probs: got one label.*binary", probs=np.ones((1, H, W)))
    refused("probs: got shape .*binary", probs=np.ones((H, W)))
    foreground = picture[1][1]
    np.testing.assert_array_equal(
        DenseCRF(picture[0], probs=binary(foreground)).infer(P),
        DenseCRF(picture[0], probs=np.stack([1 - foreground, foreground])).infer(P),
    )


def test_19_label_zero_is_a_label(picture):
    labels = np.full((H, W), 255)
    labels[2], labels[9] = 0, 1
    crf = DenseCRF(picture[0], labels=labels)
    assert crf.num_classes == 2
    before = next(crf.steps(P)).q
    np.testing.assert_allclose(before[0, 2], 0.7, atol=1e-6)
    np.testing.assert_allclose(before[0, 9], 0.3, atol=1e-6)


def test_20_void_is_unknown(picture):
    labels = np.full((H, W), 255, np.uint8)
    labels[0, 0] = 2
    before = next(DenseCRF(picture[0], labels=labels).steps(P)).q
    np.testing.assert_allclose(before[:, 5, 5], 1 / 3, atol=1e-6)
    refused("labels: got values", labels=np.full((H, W), 255))
    refused("labels: got values", labels=np.full((H, W), -1))


def test_21_the_order_of_colours_is_said_and_does_not_matter_to_the_exact_kernel(picture):
    image, probs = picture
    assert "RGB" in DenseCRF.__doc__
    np.testing.assert_allclose(
        DenseCRF(image, probs=probs, kernel="exact").infer(P),
        DenseCRF(image[..., ::-1], probs=probs, kernel="exact").infer(P),
        atol=1e-6,
    )


def test_22_a_mean_subtracted_image_is_refused(picture):
    centred = picture[0] - np.array([122.675, 116.669, 104.008])
    refused("image: got values from -.*mean subtracted", image=centred, probs=picture[1])
    refused("image: got values", image=picture[0].astype(np.int32) * 2, probs=picture[1])


def test_23_an_image_scaled_to_one_is_refused(picture):
    refused("image: got values up to .*multiply by 255", image=picture[0] / 255, probs=picture[1])
    refused("image: got bool", TypeError, image=np.ones((H, W, 3), bool), probs=picture[1])


def test_24_scores_of_a_padded_image_are_refused(picture):
    refused("upsample the score map, or crop padding away", image=picture[0], probs=np.full((C, 20, 20), 1 / C))


def test_25_normalisations_differ_and_deeplabs_is_the_default(picture):
    assert CRFParams().normalization == "after"
    answers = [
        DenseCRF(picture[0], probs=picture[1], kernel="exact").infer(replace(P, normalization=n, w1=1, w2=1))
        for n in ("after", "symmetric", "before", "none")
    ]
    for i, a in enumerate(answers):
        for b in answers[:i]:
            assert np.abs(a - b).max() > 1e-3
    with pytest.raises(ValueError, match="normalization: got 'sym'"):
        CRFParams(normalization="sym")


def test_26_the_message_to_oneself_is_a_switch_of_the_oracle(picture):
    image, probs = picture
    p = CRFParams(4, 121, 5, 3, 3)
    with_self = DenseCRF(image, probs=probs, kernel="exact", self_term=True).infer(p)
    assert np.abs(with_self - DenseCRF(image, probs=probs, kernel="exact", self_term=False).infer(p)).max() > 1e-3
    np.testing.assert_array_equal(with_self, DenseCRF(image, probs=probs, kernel="exact").infer(p))  # as released
    for kernel in ("lattice", "local"):
        with pytest.raises(ValueError, match="self_term: got False"):
            DenseCRF(image, probs=probs, kernel=kernel, self_term=False)


@pytest.mark.parametrize("kernel", ["exact", "local"])
def test_27_rows_and_columns_are_not_told_apart(picture, kernel):
    image, probs = picture
    q = DenseCRF(image, probs=probs, kernel=kernel).infer(P)
    turned = DenseCRF(image.transpose(1, 0, 2), probs=probs.transpose(0, 2, 1), kernel=kernel).infer(P)
    np.testing.assert_allclose(turned.transpose(0, 2, 1), q, atol=1e-6)
    a = DenseCRF(image, probs=probs, kernel=kernel).affinity(replace(P, sigma_beta=1e5), 6, 6)
    assert a.appearance[6, 7] == pytest.approx(a.appearance[7, 6], rel=1e-4)


def test_28_the_free_energy_counts_every_pair_once(picture):
    image, probs = picture
    p = replace(P, normalization="symmetric")
    crf = DenseCRF(image, probs=probs, kernel="exact")
    rows = np.array([np.add(*crf.affinity(p, *divmod(i, W))).ravel() for i in range(H * W)], np.float64)
    for step in crf.steps(p):
        q = step.q.reshape(C, -1).astype(np.float64)
        pairs = sum(
            rows[i, j] * (1 - q[:, i] @ q[:, j]) * (0.5 if i == j else 1)
            for i in range(H * W)
            for j in range(i, H * W)
        )
        expected = np.sum(q * np.log(q)) - np.sum(q * np.log(probs.reshape(C, -1))) + pairs
        assert step.free_energy == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kernel", ALL)
def test_29_the_result_is_an_array_of_ones_own(picture, kernel):
    crf = DenseCRF(picture[0], probs=picture[1], kernel=kernel)
    q = crf.infer(P)
    assert type(q) is np.ndarray and q.dtype == np.float32 and q.flags.c_contiguous and q.flags.writeable
    kept = q.copy()
    q[:] = 0
    np.testing.assert_array_equal(crf.infer(P), kept)
    steps = list(crf.steps(P))
    steps[0].q[:] = 0
    np.testing.assert_array_equal(steps[-1].q.argmax(0), kept.argmax(0))


def test_30_the_lattice_is_held_to_agreement_not_to_the_worst_pixel(scene, alike):
    image, _, probs = scene(3, 40, 48, 3)
    p = CRFParams(5, 40, 12, 3, 3)
    agreement, difference = alike(
        DenseCRF(image, probs=probs, kernel="exact").infer(p), DenseCRF(image, probs=probs).infer(p)
    )
    assert agreement >= 0.99 and difference <= 5e-3


def infer_of(image, probs):
    assert not image.flags.writeable  # memory-mapped, as joblib hands large arrays on
    return DenseCRF(image, probs=probs, threads=1).infer(P)


def test_31_memory_mapped_arrays_of_other_processes_are_accepted(picture, tmp_path):
    image, probs = picture
    expected = DenseCRF(image, probs=probs, threads=1).infer(P)
    work = joblib.Parallel(n_jobs=2, max_nbytes=100)
    for q in work(joblib.delayed(infer_of)(image, probs) for _ in range(2)):
        np.testing.assert_array_equal(q, expected)
    np.save(tmp_path / "probs.npy", probs)
    same(image, probs, image, np.load(tmp_path / "probs.npy", mmap_mode="r"))


def test_32_parameters_of_another_resolution_can_be_scaled(scene):
    assert CRFParams(4, 121, 5, 3, 3).scaled(0.25) == CRFParams(4, 30.25, 5, 3, 0.75)
    assert "pixels" in CRFParams.__doc__


def test_33_scores_smaller_than_the_image_are_refused_and_a_small_image_is_explicit(scene):
    image, truth, probs = scene(2, 64, 80, 3, 5.0)
    coarse = probs.reshape(3, 16, 4, 20, 4).mean((2, 4))
    refused("probs: got shape .*as large as the image", image=image, probs=coarse)
    small = image.reshape(16, 4, 20, 4, 3).mean((1, 3))
    labels = refine(small, probs=coarse, params=CRFParams(5, 40, 15, 3, 3).scaled(0.25))
    assert np.mean(labels == truth[2::4, 2::4]) > 0.9


def test_34_a_search_always_shows_what_no_crf_would_give(scene):
    image, truth, _ = scene(4)
    probs = np.where(np.arange(3)[:, None, None] == truth, 0.9, 0.05).astype(np.float32)
    probs /= probs.sum(axis=0)
    harm = search(
        [Scored("right already", image, probs, truth)],
        Space(w1=(90,), sigma_alpha=(200,), sigma_beta=(250,), moves=0),
    )
    assert harm.trials[0].params is None and harm.baseline.mean_iou == 1
    assert harm.gain < 0
    assert "no CRF" in harm.table().splitlines()[1]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda crf: crf.affinity(CRFParams(), 1.5, 0), "row: got 1.5"),
        (lambda crf: crf.affinity(CRFParams(), 0, "1"), "col: got '1'"),
        (lambda crf: crf.affinity(CRFParams(), 0, True), "col: got True"),
        (lambda crf: crf.affinity(CRFParams(), 0, 10**6), "col: got 1000000, expected a whole number from 0 to"),
        (lambda crf: inspect.unwrap(DenseCRF.preview)(crf, None), "params: got NoneType"),
        (lambda crf: crf.preview(CRFParams(), factor=2.0), "factor: got 2.0"),
        (lambda crf: crf.preview(CRFParams(), factor=9000), "factor: got 9000, expected a whole number from 1 to"),
        (lambda crf: crf.reduced(0), "factor: got 0"),
        (lambda crf: crf.infer(CRFParams(), relax="1"), "relax: got '1'"),
        (lambda crf: crf.infer(CRFParams(), relax=True), "relax: got True"),
        (lambda crf: crf.infer(CRFParams(), relax=0), "relax: got 0"),
    ],
)
def test_arguments_of_the_calls_are_named(picture, call, words):
    image, probs = picture
    with pytest.raises((TypeError, ValueError), match=re.escape(words)):
        call(DenseCRF(image, probs=probs))


def test_numpys_whole_numbers_are_whole_numbers(picture):
    image, probs = picture
    crf = DenseCRF(image, probs=probs)
    assert np.array_equal(crf.preview(CRFParams(), factor=np.int64(2)), crf.preview(CRFParams(), factor=2))
    assert np.array_equal(*(crf.affinity(CRFParams(), row, 1).smoothness for row in (2, np.uint8(2))))
