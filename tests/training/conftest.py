"""A stand-in for a data set that any network learns within seconds."""

import numpy as np
import pytest

from dlseg.datasets import Sample


class TwoColours:
    """The left half is dark and class 1, the right half light and class 2, a line of void between them."""

    num_classes, classes = 3, ("background", "dark", "light")

    def __init__(self, broken: int | None = None) -> None:
        self.broken = broken

    def __len__(self) -> int:
        return 5

    def __getitem__(self, i: int) -> Sample:
        if i == self.broken:
            raise ValueError(f"picture{i}.jpg is damaged")
        image = np.full((40, 48, 3), 30 + 5 * i, np.uint8)
        label = np.ones((40, 48), np.uint8)
        image[:, 24:], label[:, 24:], label[:, 23:25] = 220, 2, 255
        return Sample(f"picture{i}", image, label)


@pytest.fixture
def colours() -> TwoColours:
    return TwoColours()


@pytest.fixture
def broken_colours() -> TwoColours:
    return TwoColours(broken=2)
