"""The kernels by name."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from dlseg.crf.exact import ExactKernel
from dlseg.crf.features import Extra
from dlseg.crf.fused import LatticeKernel
from dlseg.crf.local import LocalKernel
from dlseg.crf.mean_field import Kernel
from dlseg.crf.peer import PydensecrfKernel

KERNELS = ("lattice", "exact", "local", "pydensecrf")


def create(name: str, image: Float32[np.ndarray, "H W c"], extra: Extra, *, self_term: bool, neighbours: int,
           threads: int) -> Kernel:
    """The kernel `name` for one image and its features; options it does not have are errors."""
    if name not in KERNELS:
        raise ValueError(f"kernel: got {name!r}, expected one of {', '.join(KERNELS)}")
    if name == "exact":
        return ExactKernel(image, extra, self_term=self_term)
    if not self_term:
        raise ValueError(f'self_term: got False with kernel="{name}"; only "exact" can leave it out')
    if name == "local":
        return LocalKernel(image, neighbours, extra)
    return (LatticeKernel if name == "lattice" else PydensecrfKernel)(image, threads, extra)
