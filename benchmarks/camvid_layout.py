"""A data set in CamVid's layout, from its files to mean IoU with a searched CRF: the three commands of the README.

    python benchmarks/camvid_layout.py --out benchmarks/results/camvid_layout.md

CamVid itself is not ours to pass on. These are drawn street scenes of its size (480 × 360 px), with its eleven
classes, its folders, its lists of two columns, and its value 11 for "unlabelled".
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy.ndimage import gaussian_filter
from timing import machine, save, table

CLASSES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip
UNLABELLED = 11
COLOURS = np.array(
    [
        [170, 190, 215], [125, 110, 100], [110, 110, 115], [95, 92, 95], [130, 125, 122], [75, 90, 55],
        [150, 120, 70], [105, 95, 85], [90, 90, 110], [110, 80, 75], [85, 85, 80], [60, 60, 60],
    ]
)  # fmt: skip
GRAIN = (1, 22, 6, 5, 10, 30, 12, 26, 14, 16, 16, 5)  # how strong a class's texture is
FINE = (8, 3, 1, 2, 4, 1.5, 2, 1, 4, 2, 1.5, 3)  # and how wide, px


def scene(rng: np.random.Generator, size: tuple[int, int] = (360, 480)) -> tuple[Image.Image, np.ndarray]:
    """A street and its labels (H, W): classes that differ in place, shape and texture more than in colour."""
    height, width = size
    canvas = Image.new("L", (width, height), CLASSES.index("sky"))
    draw, unit = ImageDraw.Draw(canvas), height / 36

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    def box(name: str, x: float, bottom: float, w: float, h: float) -> None:
        draw.rectangle((x, bottom - h, x + w, bottom), fill=CLASSES.index(name))

    horizon, middle = between(0.4, 0.5) * height, between(0.4, 0.6) * width
    x = -2 * unit
    while x < width:
        w = between(4, 12) * unit
        if rng.random() < 0.8:
            box("building", x, horizon + unit, w, between(6, 15) * unit)
        x += w
    for _ in range(rng.integers(2, 6)):
        x, r = between(0, width), between(2, 5) * unit
        draw.ellipse((x - r, horizon - 2.2 * r, x + r, horizon - 0.2 * r), fill=CLASSES.index("tree"))
        box("tree", x - r / 8, horizon + unit, r / 4, r)
    draw.polygon([(0, horizon), (width, horizon), (width, height), (0, height)], fill=CLASSES.index("pavement"))
    road = [(middle - unit, horizon), (middle + unit, horizon), (width * 1.0, height), (width * 0.1, height)]
    draw.polygon(road, fill=CLASSES.index("road"))
    if rng.random() < 0.7:
        box("fence", between(-0.2, 0.6) * width, horizon + 3 * unit, between(8, 16) * unit, 2.5 * unit)
    for _ in range(rng.integers(2, 6)):  # nearer things are larger and lower in the picture
        near = between(0.1, 1)
        bottom, x = horizon + (1 + 14 * near) * unit, between(0, width)
        kind = rng.choice(["car", "pedestrian", "bicyclist", "pole", "car"])
        if kind == "car":
            box("car", x, bottom, 7 * near * unit, 2.2 * near * unit)
            box("car", x + 1.5 * near * unit, bottom - 2 * near * unit, 4 * near * unit, 1.6 * near * unit)
        elif kind == "pole":
            box("pole", x, bottom, max(2, 0.35 * near * unit), 14 * near * unit)
            box("sign", x - near * unit, bottom - 12 * near * unit, 2.3 * near * unit, 2 * near * unit)
        else:
            r = 0.55 * near * unit
            if kind == "bicyclist":
                for wheel in (-1.6, 1.6):
                    at = (x + (wheel - 1.3) * r, bottom - 2.6 * r, x + (wheel + 1.3) * r, bottom)
                    draw.ellipse(at, outline=CLASSES.index(kind), width=max(1, int(r / 2)))
            box(kind, x - r, bottom - r, 2 * r, 4.5 * r)
            draw.ellipse((x - r, bottom - 7.4 * r, x + r, bottom - 5.4 * r), fill=CLASSES.index(kind))
    labels = np.array(canvas)
    light, shade = between(0.75, 1.15), np.zeros((height, width))
    for i in range(len(COLOURS)):
        noise = gaussian_filter(rng.standard_normal((height, width)), FINE[i])
        shade += np.where(labels == i, GRAIN[i] * noise / noise.std(), 0)
    tint = rng.normal(0, 14, (len(COLOURS), 3))  # no two streets have the same paint
    pixels = (COLOURS + tint)[labels] * light + shade[..., None] + rng.normal(0, 4, (height, width, 3))
    picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.7))
    for _ in range(rng.integers(1, 4)):  # what nobody labelled
        x, y, r = int(between(0, width)), int(between(horizon, height)), int(between(0.5, 2) * unit)
        labels[max(0, y - r) : y + r, max(0, x - r) : x + r] = UNLABELLED
    return picture, labels


def make(
    root: Path, counts: dict[str, int], size: tuple[int, int] = (360, 480), unlabelled: int = UNLABELLED
) -> None:
    """The folders train, trainannot, … and lists of two columns, as SegNet's authors hand CamVid on."""
    rng = np.random.default_rng(0)
    for split, count in counts.items():
        for part in (split, f"{split}annot"):
            (root / part).mkdir(parents=True)
        lines = []
        for i in range(count):
            picture, labels = scene(rng, size)
            name = f"0001TP_{i:06}.png"
            picture.save(root / split / name)
            Image.fromarray(np.where(labels == UNLABELLED, unlabelled, labels).astype(np.uint8)).save(
                root / f"{split}annot" / name
            )
            lines.append(f"/SegNet/CamVid/{split}/{name} /SegNet/CamVid/{split}annot/{name}\n")
        (root / f"{split}.txt").write_text("".join(lines))


def dlseg(*arguments: object) -> tuple[str, float]:
    """What a command prints, and its minutes of processor time: what others take of the machine does not count."""
    print("dlseg", *arguments, flush=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "dlseg", *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 60


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="Further options go to `dlseg crf search`."
    )
    parser.add_argument("--pictures", type=int, default=120, help="to train on; a third as many in val and in test")
    parser.add_argument("--iterations", type=int, default=None, help="instead of the recipe's")
    parser.add_argument("--folder", type=Path, default=None, help="where to work; what is there is gone on with")
    parser.add_argument("--out", type=Path, default=None, help="where the Markdown goes")
    args, search_options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = args.folder or Path(temporary)
        root, weights, best = work / "CamVid", work / "camvid.safetensors", work / "camvid-crf.json"
        third = max(2, args.pictures // 3)
        if not root.exists():
            make(root, {"train": args.pictures, "val": third, "test": third})
            dlseg("data", "describe", root, "--out", root / "dataset.json")
        more = ["--iterations", args.iterations] if args.iterations else []
        minutes = {"train": dlseg("train", "--data", root, "--out", weights, *more)[1]}
        search = [
            "--data",
            root,
            "--weights",
            weights,
            "--best",
            best,
            "--log",
            work / "log.jsonl",
            *search_options,
        ]
        minutes["crf search"] = dlseg("crf", "search", *search)[1]
        common = ["--data", root, "--split", "test", "--weights", weights, "--json"]
        plain, minutes["evaluate"] = dlseg("evaluate", *common, "--crf-params", best)
        paper, _ = dlseg("evaluate", *common, "--crf")
    found, usual = json.loads(plain), json.loads(paper)
    rows = [
        ["network alone", *shares(found["without_crf"])],
        ["with the CRF, parameters as they come", *shares(usual)],
        ["with the CRF, parameters searched on val", *shares(found)],
    ]
    text = table(["test", "mean IoU", "pixel accuracy", "within 3 px of a boundary"], rows)
    took = ", ".join(f"`dlseg {name}` {value:.1f}" for name, value in minutes.items())
    clock = "minutes of processor time, of all cores together"
    save(args.out, f"{text}\n\n{took}; {args.pictures} pictures of 480 × 360 to train on. {machine(clock)}\n")


def shares(summary: dict) -> list[str]:
    near = summary["trimap_mean_iou"]["3"]
    numbers = (summary["mean_iou"], summary["pixel_accuracy"], near)
    return ["–" if share is None else f"{100 * share:.1f}" for share in numbers]


if __name__ == "__main__":
    main()
