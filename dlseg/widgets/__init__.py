"""Live explorers: thin shells over the figures. Each is one plain function call with plain arguments."""

from dlseg.widgets.atrous_explorer import AtrousExplorer, atrous_explorer
from dlseg.widgets.crf_studio import CRFStudio, crf_studio
from dlseg.widgets.field_explorer import FieldExplorer, field_explorer
from dlseg.widgets.pooling_explorer import PoolingExplorer, pooling_explorer
from dlseg.widgets.training_explorer import TrainingExplorer, training_explorer

__all__ = [
    "AtrousExplorer",
    "CRFStudio",
    "FieldExplorer",
    "PoolingExplorer",
    "TrainingExplorer",
    "atrous_explorer",
    "crf_studio",
    "field_explorer",
    "pooling_explorer",
    "training_explorer",
]
