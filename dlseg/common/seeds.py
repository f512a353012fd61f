"""One seed for every generator."""

from __future__ import annotations

import random

import numpy as np


def seed_all(seed: int) -> None:
    """Seed Python's, numpy's and torch's global generators."""
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
