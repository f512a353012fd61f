"""What a unit of a network sees, in theory and by gradient, and what a network costs (paper, section 3.2)."""

from dlseg.receptive_field.cost import Cost, LayerCost, cost
from dlseg.receptive_field.effective import effective_field
from dlseg.receptive_field.field import LayerField, classifier_view, receptive_field

__all__ = ["Cost", "LayerCost", "LayerField", "classifier_view", "cost", "effective_field", "receptive_field"]
