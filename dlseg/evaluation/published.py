"""The numbers that figure 5 plots, in per cent: VOC 2012 val, trained on train_aug.

From `PlotBoundaryAccuracy.m` of the authors' code.
"""

WIDTHS = (1, 2, 3, 4, 5, 8, 10, 15, 20, 25, 30, 35, 40)  # px to one side of the boundary


def _curve(*values: float) -> dict[int, float]:
    return dict(zip(WIDTHS, values, strict=True))


# mean IOU in the band
TRIMAP: dict[str, dict[int, float]] = {
    "DeepLab": _curve(39.14, 40.92, 42.58, 44.11, 45.51, 49.00, 50.83, 54.18, 56.42, 57.99, 59.10, 59.88, 60.43),
    "DeepLab-MSc": _curve(
        43.30, 45.34, 47.07, 48.57, 49.86, 52.87, 54.39, 57.14, 58.99, 60.27, 61.19, 61.83, 62.28
    ),
    "DeepLab-CRF": _curve(
        45.86, 47.79, 49.29, 50.56, 51.66, 54.28, 55.68, 58.32, 60.15, 61.48, 62.45, 63.16, 63.67
    ),
    "DeepLab-MSc-CRF": _curve(
        47.99, 49.96, 51.48, 52.74, 53.82, 56.31, 57.59, 59.99, 61.64, 62.83, 63.69, 64.31, 64.77
    ),
}
