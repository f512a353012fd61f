"""The fully connected CRF (paper, section 4)."""

from dlseg.crf.dense import Affinity, DenseCRF, Step, refine
from dlseg.crf.inputs import binary
from dlseg.crf.mean_field import Cancelled
from dlseg.crf.params import CRFParams

__all__ = ["Affinity", "CRFParams", "Cancelled", "DenseCRF", "Step", "binary", "refine"]
