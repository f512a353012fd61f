"""The fully connected CRF (paper, section 4)."""

from dlseg.crf.dense import Affinity, DenseCRF, Step, refine
from dlseg.crf.labels import binary, from_cams, soft_labels
from dlseg.crf.layer import CRFLayer
from dlseg.crf.mean_field import Cancelled
from dlseg.crf.params import CRFParams
from dlseg.crf.tuning.evaluate_params import Scored
from dlseg.crf.tuning.result import SearchResult, Trial
from dlseg.crf.tuning.search import Estimate, estimate, search
from dlseg.crf.tuning.space import Space

__all__ = [
    "Affinity",
    "CRFLayer",
    "CRFParams",
    "Cancelled",
    "DenseCRF",
    "Estimate",
    "Scored",
    "SearchResult",
    "Space",
    "Step",
    "Trial",
    "binary",
    "estimate",
    "from_cams",
    "refine",
    "search",
    "soft_labels",
]
