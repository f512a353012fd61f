# %% [markdown]
# # 4 · Training: a classifier becomes a segmentation network
#
# Notebooks 2 and 3 gave a classifier that answers every 8 pixels. It says *hammer here*, but it has never been
# told where hammers end, nor what *background* is. Section 5 of the paper trains it on: all layers, with labels
# for every pixel.
#
# You will look at a classifier's dense answers, write the loss at stride 8 and the measure, draw the
# learning-rate schedules, train live, and see how three ways of averaging give three results.
#
# *All cells run in about 45 seconds (two cores). With the exercises, plan an hour.
# You should know notebooks 1 to 3 and what a loss is. At the end you can
# train a network on labels of pixels, and measure it.*

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch

from dlseg.course import case, check, guess, guesses, hint, standing
from dlseg.datasets import load
from dlseg.figures import Panel, confusion_figure, label_panel, panels, schedule_figure
from dlseg.networks import create, load_trunk
from dlseg.predict import predict

torch.manual_seed(0)
train_set, val = load("shapes", "train_sample"), load("shapes", "val")
image, truth = val[32].image, val[32].label
trained = create("deeplab-largefov", val.num_classes, width=1 / 8, weights="shapes")
panels([Panel("the image", image), label_panel("a trained network", image, predict(trained, image).labels),
        label_panel("the truth", image, truth)], val.classes)

# %% [markdown]
# ## 4.1 · From classifier to segmentation network
# The paper begins with VGG-16 trained on ImageNet: 1.2 million photographs, 1000 classes, one label each. Ours
# begins with a narrow VGG-16 trained on pictures of one shape each, 12 classes, right for 99.4 % of them. The
# layers are copied; the last, fc8, is new, because there is one class more: *background*.

# %%
classifier = create("vgg16-20m", num_classes=12, width=1 / 8, weights="shapes")
net = create("deeplab-largefov", val.num_classes, width=1 / 8)
print(load_trunk(net, classifier))

# %% [markdown]
# Before any training, its labels mean nothing: fc8 is random.

# %%
panels([label_panel("before any training", image, predict(net, image).labels)], val.classes)

# %% [markdown]
# ## 4.2 · The loss at stride 8
# There is a score every 8 pixels and a label at every pixel. The paper shrinks the **labels**: it keeps the one
# at each score's own pixel. At every kept place the loss is the *cross-entropy*, $-\log P(\text{true class})$,
# where $P$ is the softmax of the scores; places whose label is *void* are left out.

# %%
guess("training.kept")

# %%
kept = net.grid.decimate(torch.from_numpy(truth), (16, 16)).numpy()
panels([label_panel("labels", image, truth),
        label_panel("one in 8 × 8, from pixel 1", image[1::8, 1::8], kept)], val.classes)

# %% [markdown]
# > **Paper says / release does.** The paper *sums* the loss over all places, “equally weighted”; the released
# > code takes the *mean* over those that are not void, and its learning rate is meant for that. The paper's crops
# > of 306 keep labels `[1::8]`, 39 along an axis; the release's of 321 keep `[::8]`, 41. Shrink the labels the
# > other way by one pixel, and every edge is off by one.

# %% [markdown] exercise="training.stride_loss"
# Write it, on the release's grid: the score at *(y, x)* stands for the pixel *(stride·y, stride·x)*, so the first
# label kept is at pixel 0. `scores` is (C, h, w), raw; `labels` is (H, W), with 255 for void. Give back one
# number: the **mean** of
#
# > $-\log\,\mathrm{softmax}(\mathrm{scores}_{:,y,x})_{\mathrm{label}}$ over all places whose label is not void.

# %% exercise="training.stride_loss"
def stride_loss(scores: torch.Tensor, labels: torch.Tensor, stride: int) -> float:
    """(C, h, w), (H, W) → mean cross-entropy"""
    ### BEGIN SOLUTION
    target = labels[::stride, ::stride].long()
    known = target != 255
    logs = torch.log_softmax(scores, dim=0).permute(1, 2, 0)[known]
    return -float(logs.gather(1, target[known][:, None]).mean()) if known.any() else 0.0
    ### END SOLUTION

# %% [markdown]
# ## 4.3 · The schedule
# The paper trains by *stochastic gradient descent*: 20 images at a time, a learning rate of 0.001 (0.01 for the
# new fc8), a tenth of it after every 2000 steps, momentum 0.9, weight decay 0.0005. DeepLab's second version
# found that a smooth fall does better, $(1 - \frac{\mathrm{step}}{\mathrm{steps}})^{0.9}$, called *poly*; ours
# uses that.

# %%
guess("training.half")

# %%
from dlseg.training import Recipe

steps = Recipe()
poly = Recipe(schedule="poly")
schedule_figure({"the paper's steps": steps, "poly": poly})

# %% [markdown]
# > **Paper says / release does.** The text gives no number of steps; the released solver runs 6000, lets biases
# > learn twice as fast and spares them the weight decay, and adds a second stage (12,000 steps from 0.01) on more
# > data.

# %% [markdown] exercise="training.poly_rate"
# Write the poly schedule: the learning rate at `step` of `steps`, beginning with `base`.
#
# > $\mathrm{base}\cdot(1 - \mathrm{step}/\mathrm{steps})^{\mathrm{power}}$

# %% exercise="training.poly_rate"
def poly_rate(base: float, step: int, steps: int, power: float) -> float:
    """The learning rate at one step."""
    ### BEGIN SOLUTION
    remaining = (steps - step) / steps
    return base * remaining ** power
    ### END SOLUTION

# %% [markdown]
# ## 4.4 · Train
# 60 steps of 8 crops, on the small part of the training set that comes with the course. (The recipe's 800 take a
# few minutes: `dlseg train --data shapes`.) One thing is not the paper's: *batch normalisation*, which keeps the
# scale of every layer's numbers while it learns, is put in for the training and folded into the weights at its
# end. Without it, a narrow network learns slowly.

# %%
guess("training.first")

# %%
import sys

from tqdm import tqdm

from dlseg.training import train

recipe = Recipe.shapes(batch=8, iterations=60, classifier_lr_factor=10.0, dropout=0.0)
losses = []
with tqdm(total=recipe.iterations, unit="step", file=sys.stdout, mininterval=3) as bar:
    train(net, train_set, recipe, callbacks=[lambda s: losses.append(s.loss), lambda s: bar.update()])

# %%
after = predict(net, image)
plt.figure(figsize=(5, 2.2))
plt.plot(losses), plt.axhline(np.log(val.num_classes), ls=":", color="grey")
plt.xlabel("step"), plt.ylabel("loss"), plt.title("dotted: knowing nothing", fontsize=9)
panels([label_panel("after 60 steps", image, after.labels),
        label_panel("after 1600, the shipped one", image, predict(trained, image).labels),
        label_panel("the truth", image, truth)], val.classes)

# %% [markdown]
# In 60 steps it has learned that most of an image is background, which alone brings the loss down; things come
# after a few hundred.
#
# **Live.** Start the training here, watch loss, learning rate and an image that is not in the training set; stop
# it, go on.

# %%
from dlseg.widgets import training_explorer

training = training_explorer()

# %% [markdown]
# ## 4.5 · Measuring
# All pixels of all test images go into one table, the **confusion matrix**: row = what a pixel is, column = what
# it was taken for. Right pixels lie on its diagonal.

# %%
guess("training.mistakes")

# %%
from dlseg.evaluation import ConfusionMatrix

counted = ConfusionMatrix(val.num_classes)
for sample in (val[i] for i in range(30)):
    counted.update(predict(trained, sample.image).labels, sample.label)
confusion_figure(counted.counts, val.classes)

# %% [markdown] exercise="training.confusion"
# Count. `prediction` and `truth` are (H, W) labels; pixels whose **truth** is 255 (void) do not count. Give back
# a (classes, classes) table of whole numbers: row = truth, column = prediction.

# %% exercise="training.confusion"
def confusion(prediction: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """(H, W), (H, W) → (classes, classes)"""
    ### BEGIN SOLUTION
    known = truth != 255
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (truth[known], prediction[known]), 1)
    return table
    ### END SOLUTION

# %% [markdown]
# ## 4.6 · One table, three results
# A class's IoU is its diagonal cell over everything in its row or column. If a class occurs in neither, that is
# 0/0. On VOC's 1449 images it never happens; on a few it does, and then conventions differ by points:

# %%
guess("training.conventions")

# %%
few = ConfusionMatrix(val.num_classes)
for sample in (val[i] for i in range(4)):
    few.update(predict(trained, sample.image).labels, sample.label)
for convention, words in [("voc", "absent counts as 0, as VOC's own code has it"),
                          ("present", "over classes in the truth"), ("nan", "over classes in either")]:
    print(f"{convention:8} 4 images {100 * few.mean_iou(convention):5.1f} %"
          f"   30 images {100 * counted.mean_iou(convention):5.1f} %   {words}")

# %% [markdown] exercise="training.mean_iou"
# Mean IoU from a confusion matrix, by VOC's convention: a class that is in neither truth nor prediction counts as
# **0**.
#
# > $\mathrm{IoU}_c = \dfrac{n_{cc}}{\sum_j n_{cj} + \sum_j n_{jc} - n_{cc}}$

# %% exercise="training.mean_iou"
def mean_iou(confusion: np.ndarray) -> float:
    """(C, C), rows are the truth → a share from 0 to 1"""
    ### BEGIN SOLUTION
    hits = confusion.diagonal()
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - hits
    return float(np.mean(hits / np.where(union > 0, union, 1)))
    ### END SOLUTION

# %% [markdown]
# ## 4.7 · The real thing
# The same cell works on PASCAL VOC 2012 with ImageNet's weights, where they are on this machine (the teacher's
# guide says how to get them). The paper reports 62.25 % for LargeFOV after training on 10,582 images, before the
# CRF.

# %%
try:
    voc = load("voc2012", "val")
    print(f"VOC is here: {len(voc)} images. To train: dlseg train --data voc2012 --init imagenet")
except FileNotFoundError:
    print("VOC is not on this machine: the shapes stand in for it.")
    voc = val
panels([label_panel(voc[0].name, voc[0].image, voc[0].label)], voc.classes)

# %% [markdown]
# ## Remember
# - Labels shrink to the scores' places; void is left out; the loss is a mean (the paper writes a sum).
# - The new layer learns ten times as fast; the rate falls in steps, or smoothly.
# - One confusion matrix over all images; say what you do with absent classes.
# - After training, the network knows *what*, and is still vague about *where*.

# %%
standing("training")

# %%
guesses("training")

# %% [markdown]
# **Next:** [5 · the fully connected CRF](05_crf.ipynb) brings *where* back.
