"""How good is a labelling? One confusion matrix over all images, IoU in three conventions, the trimap curve.

Paper, section 5: intersection over union of pixels, averaged over the 21 classes; its trimap figure.
"""

from dlseg.common.constants import VOID
from dlseg.evaluation.confusion_matrix import CONVENTIONS, ConfusionMatrix, Convention
from dlseg.evaluation.published import TRIMAP
from dlseg.evaluation.render import FORMATS, render
from dlseg.evaluation.trimap import AROUND, Around, Trimap, trimap_band, trimap_curve

__all__ = [
    "AROUND",
    "CONVENTIONS",
    "FORMATS",
    "TRIMAP",
    "VOID",
    "Around",
    "ConfusionMatrix",
    "Convention",
    "Trimap",
    "render",
    "trimap_band",
    "trimap_curve",
]
