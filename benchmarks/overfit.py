"""Does the whole path learn? Eight real VOC images, a narrow LargeFOV, until it knows them by heart.

    DLSEG_SAMPLES=… python benchmarks/overfit.py --out benchmarks/results/overfit.md

DLSEG_SAMPLES names a folder with VOC images in voc/. Two to four minutes on one thread.
"""

import argparse
import os
import time
from pathlib import Path

import torch
from timing import machine, save, table

from dlseg.datasets import load
from dlseg.datasets.protocols import InMemory
from dlseg.datasets.voc import Dataset
from dlseg.networks import create, load_trunk, open_weights
from dlseg.predict.evaluate import evaluate
from dlseg.training import Recipe, train
from dlseg.training.callbacks import ProgressBar

IMAGES = 8
# the whole picture every time (506 = 8 · 63 + 2 holds any VOC image), nothing that makes learning by heart harder
RECIPE = Recipe(
    crop=506,
    batch=4,
    iterations=250,
    lr=0.05,
    classifier_lr_factor=1.0,
    schedule="poly",
    mirror=False,
    dropout=0.0,
    weight_decay=0.0,
    batch_norm=True,
)


def few(folder: Path) -> Dataset:
    data = load(folder, "train")
    data.names = data.names[:IMAGES]
    return data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=None, help="where the Markdown goes")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data = few(Path(os.environ["DLSEG_SAMPLES"]) / "voc")
    torch.manual_seed(0)
    net = create("deeplab-largefov", data.num_classes, width=1 / 8)
    load_trunk(net, open_weights("shapes", "vgg16-20m")[0])
    start = time.perf_counter()
    with ProgressBar(RECIPE.iterations) as bar:
        train(net, InMemory(data), RECIPE, [bar])
    seconds = time.perf_counter() - start
    score = evaluate(net, data)["net"]
    rows = [
        [name, "–" if share is None else f"{100 * share:.1f}"]
        for name, share in score.measures().items()
        if share is not None
    ]
    save(
        args.out,
        f"# Eight real VOC images by heart\n\n{machine()}\n\nLargeFOV, an eighth of the channels, from "
        f"the shapes classifier; {RECIPE.iterations} iterations of {RECIPE.batch} in {seconds:.0f} s. "
        f'Measured on the same {len(data)} images; "classes in the truth" is the mean over those they '
        "hold.\n\n" + table(["per cent", ""], rows),
    )


if __name__ == "__main__":
    main()
