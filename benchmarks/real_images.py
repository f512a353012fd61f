"""Twenty PASCAL VOC images with a network's real scores, for the CRF's benchmarks; DLSEG_SAMPLES says where."""

import os
from pathlib import Path

from dlseg.datasets import load
from dlseg.predict.score_files import ScoredImages

DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "samples"


def real_images() -> ScoredImages:
    """The images of DLSEG_SAMPLES/voc that have a score map (21 classes, 96×96 logits) in its folder `scores`."""
    root = Path(os.environ.get("DLSEG_SAMPLES", DEFAULT)) / "voc"
    if not (root / "scores").is_dir():
        raise SystemExit("no real samples here: set DLSEG_SAMPLES to a folder that holds voc/ with scores/")
    data = load(root, "val")
    data.names = sorted(path.stem for path in (root / "scores").glob("*.npz"))
    return ScoredImages(data, root / "scores")
