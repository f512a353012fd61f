"""`infer` gives what `steps` gives for every unary: nothing that is left out decides an outcome.

Where a unary is nearly even, a mean field amplifies every difference, round after round: these are the places where
a shortcut that is right for decided pixels would be wrong.
"""

from __future__ import annotations

import numpy as np
import pytest
from random_cases import UNARIES, difference, draw_case

from dlseg.crf import CRFParams, DenseCRF
from dlseg.crf.lattice.inference import CONVERGED, LatticeKernel, LatticeRun
from dlseg.crf.lattice.state import Unary
from dlseg.datasets.photos import load_photo

BETWEEN, LABELS = 2e-4, 2e-3  # mean total variation distance; share of surely decided pixels labelled otherwise
NO_PEER = 'pydensecrf is not installed: kernel="pydensecrf" is not tested'


def last(crf, params, relax=1.0):
    """The end of the steps, in which every pixel and every label takes part."""
    *_, step = crf.steps(params, relax=relax)
    return step.q


@pytest.mark.parametrize("kind", range(len(UNARIES)), ids=UNARIES)
def test_random_cases(kind):
    for seed in range(kind, kind + 8 * len(UNARIES), len(UNARIES)):
        case = draw_case(seed)
        crf = DenseCRF(case.image, probs=case.probs, threads=1)
        found = difference(crf.infer(case.params, relax=case.relax), last(crf, case.params, case.relax))
        assert found.between <= BETWEEN and found.labels <= LABELS, (case.name, found)
        if case.relax == 1:
            np.testing.assert_array_equal(crf.label(case.params), crf.infer(case.params).argmax(axis=0))


def test_steps_against_pydensecrf():
    pytest.importorskip("pydensecrf", reason=NO_PEER)
    for seed in range(0, 210, 7):
        case = draw_case(seed)
        if case.params.normalization == "none":
            continue
        peer = DenseCRF(case.image, probs=case.probs, kernel="pydensecrf").infer(case.params, relax=case.relax)
        crf = DenseCRF(case.image, probs=case.probs, threads=1)
        found = difference(last(crf, case.params, case.relax), peer)
        assert found.between <= 5e-4 and found.labels <= LABELS, (case.name, found)


@pytest.mark.parametrize("iterations", [1, 3, 10, 30, 100])
def test_two_halves_with_a_seed_each(iterations):
    image = np.full((120, 160, 3), 60, np.uint8)
    image[:, 80:] = 160
    seeds = np.full((120, 160), 255, np.uint8)
    seeds[60, 20], seeds[60, 140] = 0, 8
    crf, p = DenseCRF(image, labels=seeds, num_classes=21), CRFParams(iterations=iterations)
    np.testing.assert_array_equal(crf.label(p), last(crf, p).argmax(axis=0))
    if iterations >= 10:
        assert np.count_nonzero(crf.label(p) == 0) == np.count_nonzero(crf.label(p) == 8) == 9600


@pytest.mark.parametrize("preset", ["densecrf-demo", "deeplab-largefov"])
def test_two_seeds_on_a_photograph(preset):
    """Far from both seeds the marginals of two labels come to differ by less than single precision's last digit.

    There pydensecrf's label is as much a matter of rounding as ours (in double precision a fifteenth of the image
    differs from either); everywhere else they are the same.
    """
    pytest.importorskip("pydensecrf", reason=NO_PEER)
    image, _, _ = load_photo("cat")
    seeds = np.full(image.shape[:2], 255, np.uint8)
    height, width = seeds.shape
    seeds[height // 2 : height // 2 + 3, width // 2 : width // 2 + 3] = 8
    seeds[5:8, 5:8] = 0
    crf, p = DenseCRF(image, labels=seeds, num_classes=21), CRFParams.presets()[preset]
    peer = DenseCRF(image, labels=seeds, num_classes=21, kernel="pydensecrf").label(p)
    q, labels = crf.infer(p), crf.label(p)
    np.testing.assert_array_equal(labels, last(crf, p).argmax(axis=0))
    top = np.partition(q, -2, axis=0)
    clear = top[-1] - top[-2] > 1e-6
    assert clear.mean() > 0.5
    assert np.mean((labels == peer)[clear]) >= 0.9999
    if preset == "densecrf-demo":
        assert np.mean(labels == peer) >= 0.995


@pytest.mark.parametrize("tilt", [1e-6, 1e-4])
def test_a_faint_tilt_among_certain_pixels_is_not_lost(tilt):
    """Most of the image is certain, so that iterations work on changes alone; a part is even but for a tilt."""
    image = np.full((90, 90, 3), 40, np.uint8)
    image[:, 60:] = 220
    logits = np.zeros((3, 90, 90), np.float32)
    logits[0, :, :55] = 11
    logits[2, :, 60:] = tilt
    crf = DenseCRF(image, logits=logits)
    for iterations in (10, 40):
        p = CRFParams(8, 20, 10, 1, 1, iterations)
        found = difference(crf.infer(p), last(crf, p))
        assert found.between <= BETWEEN and found.labels <= LABELS


def test_small_changes_that_add_up_are_heard():
    """Damped, every iteration moves a pixel by less than anything that might be neglected; a hundred do not."""
    image = np.full((50, 50, 3), 90, np.uint8)
    probs = np.where(np.arange(2)[:, None, None] == 0, 0.995, 0.005) * np.ones((2, 50, 50), np.float32)
    for relax in (1e-4, 1e-3, 0.03):
        crf, p = DenseCRF(image, probs=probs), CRFParams(2, 10, 10, 1, 2, 100)
        assert difference(crf.infer(p, relax=relax), last(crf, p, relax)).between <= 1e-5


@pytest.mark.parametrize("weights", [(0.0, 0.0), (200.0, 50.0), (1e6, 1e6)])
def test_weights_of_any_size(scene, weights):
    """What a change of a message is worth grows with the weight; beyond all digits one label takes all."""
    image, _, probs = scene(1, 40, 40, 4, 20.0)
    crf = DenseCRF(image, probs=probs)
    for iterations in (2, 10):
        p = CRFParams(weights[0], 15, 30, weights[1], 2, iterations)
        found = difference(crf.infer(p), last(crf, p))
        assert found.between <= BETWEEN and found.labels <= LABELS


@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e3])
def test_compatibilities_of_any_size(scene, scale):
    image, _, probs = scene(2, 40, 40, 4, 20.0)
    rng = np.random.default_rng(0)
    mu = scale * np.abs(rng.normal(0, 1, (4, 4)))
    crf = DenseCRF(image, probs=probs, compatibility=mu + mu.T)
    p = CRFParams(5, 15, 30, 2, 2)
    found = difference(crf.infer(p), last(crf, p))
    assert found.between <= BETWEEN and found.labels <= LABELS


class TestStopping:
    """It stops where nothing moves any more, or where all that is to come is surely too little to matter."""

    def run(self, image, probs, p):
        return LatticeRun(LatticeKernel(image.astype(np.float32), 1), Unary(probs.reshape(len(probs), -1)), p, None)

    def test_a_decided_scene_stops_early_and_right(self, scene):
        image, _, probs = scene(10, 40, 40, 2, wrong=0.0)
        p = CRFParams(5, 20, 15, 3, 3, 400)
        run = self.run(image, probs, p)
        changes = [run.advance() for _ in range(60)]
        assert changes[0] > 0.1
        assert 0.0 in changes
        crf = DenseCRF(image, probs=probs)
        assert difference(crf.infer(p), last(crf, p)).between <= CONVERGED

    def test_an_even_state_is_unstable_and_known_to_be(self):
        """Moving by next to nothing, and far from its end: a residual alone would stop here."""
        image = np.full((40, 40, 3), 90, np.uint8)
        probs = np.full((2, 40, 40), 0.5, np.float32)
        probs[0] += 1e-7
        probs[1] -= 1e-7
        p = CRFParams(6, 30, 10, 3, 3, 40)
        run = self.run(image, probs, p)
        assert 0 < run.advance() < 1e-5
        assert run.contraction() > 1
        found = DenseCRF(image, probs=probs).infer(p)
        assert found[0].min() > 0.99

    def test_the_contraction_bounds_what_differences_become(self, scene):
        image, _, probs = scene(13, 30, 30, 3, wrong=0.05)
        for normalization in ("after", "symmetric", "before"):
            p = CRFParams(1, 20, 15, 1, 2, 1, normalization)
            rng = np.random.default_rng(0)
            run = self.run(image, probs, p)
            for _ in range(20):
                run.advance()
            bound, q = run.contraction(), run.marginals()
            kernel = DenseCRF(image, probs=probs)
            rows = np.stack(
                [
                    np.add(*(x.ravel() for x in kernel.affinity(p, row, col)))
                    for row in range(30)
                    for col in range(30)
                ]
            )
            step = rng.normal(0, 1, q.shape)
            step -= step.mean(axis=0)
            for _ in range(30):  # towards the direction that grows most
                heard = step @ rows.T
                answer = q * (heard - (q * heard).sum(axis=0))
                assert np.abs(answer).sum() <= bound * np.abs(step).sum() * (1 + 1e-4)
                step = answer / np.abs(answer).sum()


@pytest.mark.parametrize("sigma", [1e-3, 0.05, 0.1, 0.2, 0.3])
def test_a_gaussian_narrower_than_a_pixel(scene, sigma):
    """Below a tenth of a pixel a width counts as a tenth: neighbours are out of reach long before."""
    image, _, probs = scene(5, 24, 24, 3, 20.0)
    p = CRFParams(6, 20, 15, 4, sigma)
    exact = DenseCRF(image, probs=probs, kernel="exact").infer(p)
    found = difference(DenseCRF(image, probs=probs).infer(p), exact)
    assert found.between <= 1e-2  # what the appearance lattice costs at any sigma_gamma
    p = CRFParams(0, 20, 15, 4, sigma)
    exact = DenseCRF(image, probs=probs, kernel="exact").infer(p)
    assert difference(DenseCRF(image, probs=probs).infer(p), exact).between <= 2e-3


@pytest.mark.parametrize("least", [0.0, 1e-30, 1e-6, 1e-5])
def test_a_probability_below_the_least_counts_as_it(scene, least):
    image, _, probs = scene(6, 20, 20, 3, 5.0)
    low, clipped = np.maximum(probs, 0), probs.copy()
    low[2, :10], clipped[2, :10] = least, 1e-5
    low[:2, :10] /= low[:2, :10].sum(axis=0)
    clipped[:2, :10] = low[:2, :10]
    p = CRFParams(8, 20, 15, 3, 3)
    np.testing.assert_array_equal(DenseCRF(image, probs=low).infer(p), DenseCRF(image, probs=clipped).infer(p))
