"""The search against loops written out, with any number of processes, and on a real cluster of two."""

import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from dlseg.crf import CRFParams, DenseCRF, Scored, Space, estimate, search
from dlseg.evaluation import ConfusionMatrix, trimap_curve


def measured(samples, params):
    """Mean IoU and trimap mean IoU by the plainest loop there is."""
    labels = [
        np.argmax(s.probs if params is None else DenseCRF(s.image, probs=s.probs, threads=1).infer(params), 0)
        for s in samples
    ]
    matrix = ConfusionMatrix(len(samples[0].probs))
    for found, sample in zip(labels, samples, strict=True):
        matrix.update(found, sample.truth)
    trimap = trimap_curve(labels, [s.truth for s in samples], [8], matrix.num_classes)[8]
    return matrix.mean_iou(), trimap, matrix.pixel_accuracy()


def test_every_trial_is_what_plain_loops_measure(scored, small):
    samples = scored(5)
    result = search(samples, small)
    assert result.trials[0].params is None and result.images == 5 and result.done == len(result.trials)
    for trial in result.trials[::3]:
        assert (trial.mean_iou, trial.trimap_mean_iou, trial.pixel_accuracy) == measured(samples, trial.params)
    assert [t.params for t in result.trials[1:5]] == small.coarse()
    assert len({t.params for t in result.trials}) == len(result.trials)
    assert result.gain > 0.1


def test_refinement_leaves_the_box(scored, small):
    result = search(scored(3), small)
    assert result.best.round > 0
    assert result.params.sigma_beta > max(small.sigma_beta)
    coarse = [t for t in result.trials[1:] if t.round == 0]
    assert result.best.mean_iou > max(t.mean_iou for t in coarse)
    assert [t.round for t in result.trials] == sorted(t.round for t in result.trials)
    alone = search(scored(3), replace(small, moves=0))
    assert alone.trials == (result.baseline, *coarse)


def test_of_equal_settings_the_first_wins(scene):
    image, truth, _ = scene(1)
    probs = np.where(np.arange(3)[:, None, None] == truth, 0.98, 0.01).astype(np.float32)
    space = Space(w1=(0.01, 0.02), sigma_alpha=(3,), sigma_beta=(5,))
    result = search([Scored("easy", image, probs, truth)], space)
    assert {t.mean_iou for t in result.trials} == {1.0} and result.gain == 0
    assert result.params.w1 == 0.01
    assert result.baseline.trimap_mean_iou is None  # no void, no band


def test_the_subset_is_drawn_by_the_seed(scored, small):
    samples, coarse = scored(7), replace(small, moves=0)
    some = search(samples, coarse, subset=3, seed=4)
    drawn = sorted(np.random.default_rng(4).permutation(7)[:3])
    assert some.trials == search([samples[i] for i in drawn], coarse).trials
    assert some.images == 3
    assert some.trials != search(samples, coarse, subset=3, seed=5).trials


@pytest.mark.parametrize(("jobs", "backend"), [(2, "loky"), (3, "threading")])
def test_workers_change_nothing(scored, small, jobs, backend):
    samples = scored(6)
    assert search(samples, small, jobs=jobs, backend=backend) == search(samples, small)


class Lazy:
    """Reads a sample when asked for it, as a data set on disk does."""

    def __init__(self, samples):
        self.samples, self.read = samples, []

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        self.read.append(index)
        return self.samples[index]


def test_a_sequence_is_read_sample_by_sample(scored, small):
    lazy, coarse = Lazy(scored(6)), replace(small, moves=0)
    assert search(lazy, coarse) == search(lazy.samples, coarse)
    assert set(lazy.read) == set(range(6))


def test_mistakes_are_named(scored, small, as_users_see_it):
    good = scored(2)
    bad = good[1]._replace(truth=good[1].truth[:-1])
    nan = good[1]._replace(probs=np.full_like(good[1].probs, np.nan))
    other = scored(2, classes=4)[1]
    for samples, words in [
        ([], "samples: got none"),
        ([good[0], bad], r"samples\[1\] \(scene1\): image"),
        ([good[0], other], "3, 4"),
        ([good[0], nan], "probs: got NaN"),
        ([good[0][:3]], r"samples\[0\]"),
        ([good[0]._replace(truth=np.full_like(good[0].truth, 7))], "truth: got label 7"),
        ([good[0]._replace(truth=good[0].truth.astype(float))], "truth of float64"),
    ]:
        with pytest.raises(ValueError, match=words):
            search(samples, small)
    for arguments, words in [
        ({"jobs": 0}, "jobs"),
        ({"backend": "mpi"}, "backend"),
        ({"threads": 0}, "threads"),
        ({"subset": 0}, "subset"),
        ({"kernel": "no"}, "kernel"),
        ({"trimap": 0}, "width"),
    ]:
        with pytest.raises(ValueError, match=words):
            search(good, small, **arguments)
    with pytest.raises(TypeError, match="space"):
        search(good, {"w1": [5]})


def test_an_error_in_a_worker_arrives(scored, small):
    broken = scored(3)
    broken[2] = broken[2]._replace(probs=broken[2].probs * 3)
    with pytest.raises(ValueError, match="probs: got values"):
        search(broken, small, jobs=2)


def test_estimate_counts_what_search_does(scored):
    space = Space(w1=(2, 4, 6), sigma_alpha=(5, 10), sigma_beta=(10, 20), moves=0)
    cost = estimate(scored(4), space, subset=3, jobs=2)
    assert (cost.images, cost.settings, cost.lattices, cost.workers) == (3, 12, 4, 2)
    assert cost.seconds > 0 and cost.lattice_seconds > 0
    assert "12 settings × 3 images" in str(cost)


@pytest.fixture
def cluster(tmp_path, repo):
    """A scheduler and two worker processes on loopback."""
    distributed = pytest.importorskip("distributed", reason="dask and distributed are not installed")
    folder = tmp_path / "dask"
    folder.mkdir()
    file = folder / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    worker = [
        *dask,
        "worker",
        "--scheduler-file",
        file,
        "--nthreads",
        "1",
        "--no-nanny",
        "--no-dashboard",
        "--local-directory",
        folder,
        "--host",
        "127.0.0.1",
    ]
    scheduler = [
        *dask,
        "scheduler",
        "--scheduler-file",
        file,
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
    ]
    with (folder / "log").open("wb") as log:
        running = [
            subprocess.Popen(command, cwd=repo, stdout=log, stderr=log) for command in (scheduler, worker, worker)
        ]
        try:
            while not file.exists():
                assert running[0].poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
            with distributed.Client(scheduler_file=str(file)) as client:
                client.wait_for_workers(2, timeout=300)
                yield client
        finally:
            for process in running:
                process.kill()  # a worker whose scheduler is gone takes its time otherwise
            for process in running:
                process.wait(20)


@pytest.mark.slow
def test_a_cluster_gives_the_same_table(cluster, scored, small, tmp_path):
    samples = scored(9)
    assert sorted(cluster.ncores().values()) == [1, 1]
    expected = search(samples, small)
    assert search(samples, small, backend="dask", log=tmp_path / "log") == expected
    assert set(cluster.run(lambda: "dlseg.crf" in sys.modules).values()) == {True}  # both have worked
    assert search(samples, small, backend="dask", log=tmp_path / "log").done == 0
    with pytest.raises(ValueError, match="probs: got values"):
        search([samples[0], samples[1]._replace(probs=samples[1].probs * 3)], small, backend="dask")


def test_no_cluster_is_said(scored, small):
    pytest.importorskip("distributed", reason="dask and distributed are not installed")
    with pytest.raises(ValueError, match="found no cluster"):
        search(scored(1), small, backend="dask")


def test_the_best_of_the_papers_box_helps_on_real_scores(voc, samples):
    """Three real images and one setting of the box: both measures rise."""
    from PIL import Image

    few = [
        Scored(name, image, probs, np.asarray(Image.open(samples / "voc" / "SegmentationClass" / f"{name}.png")))
        for name, image, probs in voc[:3]
    ]
    result = search(few, Space(w1=(5,), sigma_alpha=(50,), sigma_beta=(5,), moves=0))
    assert result.params == CRFParams(5, 50, 5)
    assert result.best.mean_iou > result.baseline.mean_iou
    assert result.best.trimap_mean_iou > result.baseline.trimap_mean_iou
