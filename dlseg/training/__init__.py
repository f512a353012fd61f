"""Training (section 5): the recipe, the batches, one plain loop, checkpoints, and the classifier it starts from."""

from dlseg.training.loop import Callback, Step, StopTraining, loss_at_stride, train
from dlseg.training.recipe import Recipe

__all__ = ["Callback", "Recipe", "Step", "StopTraining", "loss_at_stride", "train"]
