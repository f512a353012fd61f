"""What the CRF's benchmark measures: both engines, scenes to run them on, and a process for each case."""

import multiprocessing
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from dlseg.crf import CRFParams, DenseCRF

PARAMS = CRFParams(4, 67, 3, 3, 3, 10, "after")


class Times(NamedTuple):
    """Seconds. build: from probabilities and image to both kernels; iterate: ten updates."""

    build: float
    iterate: float

    @property
    def total(self) -> float:
        return self.build + self.iterate


def peer(image: np.ndarray, probs: np.ndarray, p: CRFParams = PARAMS) -> tuple[Times, np.ndarray]:
    """pydensecrf by its own interface: times, and marginals (C, H, W)."""
    import pydensecrf.densecrf as library

    start = time.perf_counter()
    classes, height, width = probs.shape
    model = library.DenseCRF2D(width, height, classes)
    model.setUnaryEnergy(-np.log(np.clip(probs, 1e-5, 1)).reshape(classes, -1))
    kind = {
        "kernel": library.DIAG_KERNEL,
        "normalization": getattr(library, f"NORMALIZE_{p.normalization.upper()}"),
    }
    model.addPairwiseGaussian(sxy=p.sigma_gamma, compat=p.w2, **kind)
    model.addPairwiseBilateral(sxy=p.sigma_alpha, srgb=p.sigma_beta, rgbim=image, compat=p.w1, **kind)
    built = time.perf_counter()
    q = model.inference(p.iterations)
    end = time.perf_counter()
    return Times(built - start, end - built), np.asarray(q).reshape(probs.shape)


def ours(image: np.ndarray, probs: np.ndarray, threads: int, p: CRFParams = PARAMS) -> tuple[Times, np.ndarray]:
    """dlseg: times, and marginals (C, H, W). What the first inference takes longer than the second is the build."""
    start = time.perf_counter()
    crf = DenseCRF(image, probs=probs, threads=threads)
    q = crf.infer(p)
    built = time.perf_counter()
    crf.infer(p)
    iterate = time.perf_counter() - built
    return Times(built - start - iterate, iterate), q


def enlarged(image: np.ndarray, probs: np.ndarray, pixels: float) -> tuple[np.ndarray, np.ndarray]:
    """A real image and its probabilities, bilinearly resized to about so many pixels."""
    factor = (pixels / image[..., 0].size) ** 0.5
    size = [round(n * factor) for n in image.shape[:2]]
    options: dict[str, Any] = {"size": size, "mode": "bilinear", "align_corners": False}
    colours = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    picture = F.interpolate(colours, **options)[0].permute(1, 2, 0).round().byte().numpy()
    large = F.interpolate(torch.from_numpy(probs)[None], **options)[0].numpy()
    large /= large.sum(axis=0)
    return np.ascontiguousarray(picture), large


def noise(labels: int, height: int = 375, width: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """The worst case: every pixel of any colour, every label at some pixel likely."""
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 2, (labels, height, width)).astype(np.float32)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8), torch.from_numpy(scores).softmax(0).numpy()


def blobs(image: np.ndarray, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """A real image with a smooth unary in which every label is likely somewhere."""
    coarse = torch.from_numpy(np.random.default_rng(0).normal(0, 6, (1, labels, 24, 32)).astype(np.float32))
    scores = F.interpolate(coarse, image.shape[:2], mode="bilinear", align_corners=False)
    return image, scores[0].softmax(0).numpy()


class Case(NamedTuple):
    """One engine on one scene: seconds from probabilities to marginals; peak memory above the input, in bytes."""

    seconds: float
    peak: int


def alone(engine: str, scene: str, image: np.ndarray, probs: np.ndarray, amount: float) -> Case:
    """`measured` in a process of its own: what it holds at most is the engine's, not that of those before it.

    engine: "pydensecrf", or how many threads ours may have. scene: "pixels" or "labels"; amount: how many.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(measured, engine, scene, image, probs, amount).result()


def measured(engine: str, scene: str, image: np.ndarray, probs: np.ndarray, amount: float) -> Case:
    """Time and peak memory above what the scene itself needs."""
    torch.set_num_threads(1)
    small = enlarged(image, probs, 20_000)
    run(engine, *small)  # imports and compiled code count for nobody
    image, probs = enlarged(image, probs, amount) if scene == "pixels" else blobs(image, int(amount))
    before = _reset_peak()
    start = time.perf_counter()
    run(engine, image, probs)
    return Case(time.perf_counter() - start, _peak() - before)


def run(engine: str, image: np.ndarray, probs: np.ndarray) -> object:
    """Once."""
    if engine == "pydensecrf":
        return peer(image, probs)
    return DenseCRF(image, probs=probs, threads=int(engine)).infer(PARAMS)


def _reset_peak() -> int:
    """Forgets the peak so far, where the system can (Linux); bytes held now."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
        return _status("VmRSS")
    except OSError:
        return _peak()


def _peak() -> int:
    try:
        return _status("VmHWM")
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else 1024 * most


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
