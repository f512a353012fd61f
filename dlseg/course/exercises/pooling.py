"""Exercises of notebook 01: sizes, what pooling does to a map, and bilinear upsampling (sections 3.1 and 2)."""

from __future__ import annotations

import numpy as np

from dlseg.grading.exercise import Exercise, Inputs, Test
from dlseg.grading.tolerance import exact, numeric

WHOLE = "sizes are whole numbers"
PICKED = "a maximum is one of the numbers that came in"
MIXED = "each value is a mixture of at most four, in single or double precision"


def output_size(size: int, kernel: int, stride: int, padding: int, ceil_mode: bool) -> int:
    """How many windows fit; with ceil_mode (Caffe) a last one may hang over, if it starts inside."""
    count = 0
    start = -padding
    while start + kernel <= size + padding:
        count, start = count + 1, start + stride
    covered = start - stride + kernel >= size + padding
    return count + (ceil_mode and not covered and start < size)


def thickness(mask: np.ndarray) -> np.ndarray:
    """For each True pixel: its run of True pixels along the row and along the column; the shorter of the two."""

    def runs(rows: np.ndarray) -> np.ndarray:
        lengths = np.zeros(rows.shape, dtype=np.int64)
        for y, row in enumerate(rows):
            start = 0
            for x in range(len(row) + 1):
                if x == len(row) or not row[x]:
                    lengths[y, start:x] = x - start
                    start = x + 1
        return lengths

    return np.minimum(runs(mask), runs(mask.T).T)


def max_pool2d(x: np.ndarray, kernel: int, stride: int) -> np.ndarray:
    """The greatest number in every kernel × kernel window, a window every `stride` cells."""
    rows = range(0, x.shape[0] - kernel + 1, stride)
    columns = range(0, x.shape[1] - kernel + 1, stride)
    return np.array([[x[r : r + kernel, c : c + kernel].max() for c in columns] for r in rows])


def upsample(scores: np.ndarray, factor: int) -> np.ndarray:
    """h becomes (h - 1) factor + 1: score k lies at pixel k · factor, straight lines between."""
    height, width = ((n - 1) * factor + 1 for n in scores.shape)
    large = np.empty((height, width))
    for y in range(height):
        for x in range(width):
            top, left = min(y // factor, scores.shape[0] - 2), min(x // factor, scores.shape[1] - 2)
            down, right = y / factor - top, x / factor - left
            large[y, x] = (
                (1 - down) * (1 - right) * scores[top, left]
                + (1 - down) * right * scores[top, left + 1]
                + down * (1 - right) * scores[top + 1, left]
                + down * right * scores[top + 1, left + 1]
            )
    return large


def _windows(ceil_mode: bool, *, padded: bool, dropped: float = 0.0) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[int, int, int, int, bool]:
        wanted = rng.random() < dropped  # that a last window is dropped, since it would start too late
        while True:
            kernel = int(rng.integers(2, 5))
            padding = int(rng.integers(1, kernel // 2 + 1)) if padded else 0
            size, stride = int(rng.integers(20, 330)), int(rng.integers(2, kernel + 1))
            steps = -(-(size + 2 * padding - kernel) // stride)
            if not wanted or steps * stride >= size + padding:
                return size, kernel, stride, padding, ceil_mode

    return draw


def _bars(rng: np.random.Generator) -> tuple[np.ndarray]:
    """A wide bar and a thin one in the same rows, and a square below: a row may hold two runs."""
    mask = np.zeros((int(rng.integers(18, 26)), int(rng.integers(22, 30))), dtype=bool)
    top, height = int(rng.integers(1, 3)), int(rng.integers(7, 10))
    mask[top : top + height, 1 : 1 + int(rng.integers(3, 6))] = True
    mask[top : top + height, 9 : 9 + int(rng.integers(1, 3))] = True
    mask[top + height + 2 : top + height + 5, 12 : 12 + int(rng.integers(6, 9))] = True
    return (mask,)


def _blots(rng: np.random.Generator) -> tuple[np.ndarray]:
    """Rectangles that overlap, some of them at the image's edge."""
    mask = np.zeros(rng.integers(16, 24, 2), dtype=bool)
    for _ in range(6):
        top, left = (int(rng.integers(-3, n)) for n in mask.shape)
        height, width = rng.integers(1, 9, 2)
        mask[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)] = True
    return (mask,)


def _map(kernel: int, stride: int, low: float = -1.0, over: int = 0) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray, int, int]:
        shape = kernel + stride * rng.integers(2, 7, 2) + over  # `over`: cells that no window reaches
        return rng.uniform(low, low + 2, shape), kernel, stride

    return draw


def _scores(*factors: int) -> Inputs:
    def draw(rng: np.random.Generator) -> tuple[np.ndarray, int]:
        return rng.standard_normal(rng.integers(2, 7, 2)), int(rng.choice(factors))

    return draw


EXERCISES = [
    Exercise(
        id="pooling.max_pool2d",
        function="max_pool2d",
        reference=max_pool2d,
        title="Max pooling by hand",
        rules=("no torch",),
        tests=(
            Test("2×2, stride 2", 1, _map(2, 2), exact(PICKED)),
            Test("3×3, stride 2: windows overlap", 1, _map(3, 2, over=1), exact(PICKED)),
            Test("stride 1, all negative", 2, _map(2, 1, -3.0), exact(PICKED), hidden=True),
        ),
        hints=(
            "Each number of the result looks at one square of the map. Where does the square of result (r, c) "
            "start?",
            "(H, W) becomes ((H − kernel) // stride + 1, (W − kernel) // stride + 1). The square of result (r, c) "
            "starts at row r·stride, column c·stride.",
            "for each result row r and column c:\n"
            "    window = x[r stride : r stride + kernel, c stride : c stride + kernel]\n"
            "    result[r, c] = greatest of window",
        ),
    ),
    Exercise(
        id="pooling.output_size",
        function="output_size",
        reference=output_size,
        title="How many windows fit",
        difficulty="medium",
        tests=(
            Test("no padding", 2, _windows(False, padded=False), exact(WHOLE), runs=6),
            Test("with padding", 1, _windows(False, padded=True), exact(WHOLE), runs=6),
            Test("Caffe rounds up", 1, _windows(True, padded=True, dropped=0.5), exact(WHOLE), runs=8),
            Test(
                "Caffe rounds up, without padding",
                1,
                _windows(True, padded=False),
                exact(WHOLE),
                runs=8,
                hidden=True,
            ),
        ),
        hints=(
            "Lay the first window at the left end. How far can its start still move before its end leaves the map? "
            "How many steps of `stride` is that?",
            "One whole number. With the padding the map is size + 2·padding cells long, so the start can move "
            "size + 2·padding − kernel cells. Do not forget the window at the very start.",
            "room = size + 2 padding - kernel\n"
            "rounding down: room // stride + 1\n"
            "rounding up:   the same, one more if room is no multiple of stride,\n"
            "               unless that last window would start at or after size + padding",
        ),
    ),
    Exercise(
        id="pooling.thickness",
        function="thickness",
        reference=thickness,
        title="How thick is a part?",
        difficulty="medium",
        tests=(
            Test("two bars and a square", 2, _bars, exact(WHOLE)),
            Test("any shapes, also at the edge", 1, _blots, exact(WHOLE), runs=3),
        ),
        hints=(
            "Stand on a pixel of the part and walk along its row, to the left and to the right, until it ends. "
            "How many pixels is that? Do the same along its column.",
            "(H, W) of True and False → (H, W) of whole numbers, 0 where the mask is False. All pixels of one run "
            "have the same length. Columns are the rows of mask.T.",
            "runs(rows): for each row, go from left to right and remember where the run began;\n"
            "            where it ends (also at the end of the row), write its length over all of it\n"
            "the smaller of runs(mask) and runs(mask.T).T",
        ),
    ),
    Exercise(
        id="pooling.upsample",
        function="upsample",
        reference=upsample,
        title="Bilinear, with corners aligned",
        rules=("no ready-made enlarging",),
        difficulty="hard",
        tests=(
            Test("eight times, as the paper", 2, _scores(8), numeric(MIXED)),
            Test("other factors", 3, _scores(2, 3, 5), numeric(MIXED)),
        ),
        hints=(
            "Bilinear is linear twice: stretch every row by straight lines between its scores, then every column "
            "of what came out.",
            "(h, w) becomes ((h − 1)·factor + 1, (w − 1)·factor + 1). Score k sits exactly at pixel k·factor: the "
            "corners stay corners.",
            "for every pixel: place = pixel / factor, cell = its whole part, t = the rest\n"
            "along a row: (1 - t) scores[cell] + t scores[cell + 1]     (numpy.interp does this)\n"
            "first all rows, then all columns",
        ),
    ),
]
