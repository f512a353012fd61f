# %% [markdown]
# # 4 · Training: a classifier becomes a segmentation network
#
# Notebooks 2 and 3 gave a classifier that answers every 8 pixels. It says *there is a hammer*, but it has never
# learned where a hammer ends, nor what *background* is. Section 5 of the paper trains all its layers further, with
# a label for every pixel.
#
# You will write the loss at stride 8 and a training loop, train a network with your own loss, try other learning
# rates, write the measure, and see how three ways of averaging give three results.
#
# *All cells run in about two minutes (two cores). With the exercises, plan an hour and a half.
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
# The paper begins with VGG-16 trained on ImageNet: 1.2 million photographs, 1000 classes, one label each. We
# begin with a narrow VGG-16. It was trained on pictures of one object each, has 12 classes, and is right for 99.4 %
# of the pictures. All its layers are copied but the last, fc8: there is one class more, the *background*.

# %%
classifier = create("vgg16-20m", num_classes=12, width=1 / 8, weights="shapes")
net = create("deeplab-largefov", val.num_classes, width=1 / 8)
print(str(load_trunk(net, classifier)).replace("; ", "\n"))

# %% [markdown]
# The new fc8 is random, so its labels mean nothing. The paper's classes are not those of its classifier; ours are. So
# our fc8 can begin with the classifier's weights, made smaller, because the classifier is too sure of itself. The
# background begins with a constant score. The result is still poor, but most of the background is right, and something is
# found where the chair is.

# %%
random = predict(net, image).labels
with torch.no_grad():
    net.main.fc8.weight[1:] = 0.3 * classifier.main.fc8.weight.reshape(12, -1, 1, 1)
    net.main.fc8.bias[1:] = 0.3 * classifier.main.fc8.bias
    net.main.fc8.weight[0], net.main.fc8.bias[0] = 0, 3
panels([label_panel("fc8 random", image, random),
        label_panel("fc8 of the classifier", image, predict(net, image).labels)], val.classes)

# %% [markdown]
# ## 4.2 · The loss at stride 8
# There is a score every 8 pixels and a label at every pixel. The paper shrinks the **labels**: for each score it
# keeps the label of the score's own pixel. There the loss is the *cross-entropy*, $-\log P(\text{true class})$,
# where $P$ is the softmax of the scores. Places whose label is *void* are left out.

# %%
guess("training.kept")

# %%
kept = net.grid.decimate(torch.from_numpy(truth), (16, 16)).numpy()
panels([label_panel("labels", image, truth),
        label_panel("one in 8 × 8, from pixel 1", image[1::8, 1::8], kept)], val.classes)

# %% [markdown]
# > **Paper says / release does.** The paper *sums* the loss over all places, “equally weighted”; the released
# > code takes the *mean* over those that are not void, and its learning rate is meant for that. The paper's crops
# > of 306 keep labels `[1::8]`, 39 along an axis; the release's of 321 keep `[::8]`, 41. Whoever begins at the wrong
# > pixel shifts every edge by one pixel.

# %% [markdown]
# **By hand.** Two classes, three places. The scores at the first place are 0 and 1.10, the logarithm of 3: the softmax is ¼
# and ¾. At the second place they are 0 and 0: ½ and ½. The labels of the three places' own pixels are 1, 0 and void.
# The losses are −log ¾ = {{0.29 = -np.log(0.75)}} and −log ½ = {{0.69 = -np.log(0.5)}}; the third place is left out. The
# mean is **{{0.49 = -np.log(0.75 * 0.5) / 2}}**: of two, not of three.

# %% [markdown] exercise="training.stride_loss"
# Write it, on the release's grid: the score at *(y, x)* stands for the pixel *(stride·y, stride·x)*, so the first
# label kept is at pixel 0. `scores` is (C, h, w), raw; `labels` is (H, W), whole numbers, with 255 for void. Give back
# one number, as a tensor that PyTorch can differentiate: section 4.4 trains with it. (`float(…)` would be right as a
# number, but cannot be differentiated: then 4.4 takes the library's.) It is the **mean** of
#
# > $-\log\,\mathrm{softmax}(\mathrm{scores}_{:,y,x})_{\mathrm{label}}$ over all places whose label is not void.

# %% exercise="training.stride_loss"
def stride_loss(scores: torch.Tensor, labels: torch.Tensor, stride: int) -> torch.Tensor:
    """(C, h, w), (H, W) → mean cross-entropy"""
    ### BEGIN SOLUTION
    target = labels[::stride, ::stride].long()
    known = target != 255
    logs = torch.log_softmax(scores, dim=0).permute(1, 2, 0)[known]
    return -logs.gather(1, target[known][:, None]).sum() / max(1, len(logs))
    ### END SOLUTION

# %% [markdown]
# ## 4.3 · The schedule
# The paper trains by *stochastic gradient descent*: 20 images at a time, a learning rate of 0.001 (0.01 for the
# new fc8), divided by 10 after every 2000 steps, momentum 0.9, weight decay 0.0005. DeepLab's second version
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
# > **Paper says / release does.** The text gives no number of steps; the released solver runs 6000, trains biases twice
# > as fast and without weight decay, and adds a second stage (12,000 steps from 0.01) on more data.

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
# A step of training is short: scores, loss, gradient, new weights. *Momentum* keeps a **velocity** $v$, in which
# earlier gradients live on:
#
# $$v \leftarrow 0.9\,v + \nabla \mathrm{loss}, \qquad w \leftarrow w - \mathrm{rate}\cdot v$$
#
# **By hand.** One weight, $w = 1$, and the loss $w^2$, with the gradient $2w$. The rate is 0.1 and stays. Step 1:
# $v = 2$, $w = 0.8$. Step 2: $v = 0.9 \cdot 2 + 1.6 = 3.4$, $w = 0.46$. Where would $w$ be without momentum?

# %%
plain = 1 - 0.1 * 2 * 1
plain -= 0.1 * 2 * plain
print(f"without momentum: {plain:.2f}")

# %% [markdown] exercise="training.descend"
# Train the smallest network: one layer without bias, like fc8 at one place. `features` is (N, F), `labels` (N,),
# `weight` (C, F). The scores are `features @ weight.T`, and the loss is the mean cross-entropy of the N rows.
# Begin with a velocity of 0, take `steps` steps with momentum 0.9 and the poly schedule (power 0.9, first rate
# `base`), and give back the weights. Work on a copy: the next call begins with the same `weight` again.

# %% exercise="training.descend"
def descend(features: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor, base: float,
            steps: int) -> torch.Tensor:
    """(N, F), (N,), (C, F) → (C, F), after the last step"""
    ### BEGIN SOLUTION
    weight = weight.clone().requires_grad_()
    velocity = torch.zeros_like(weight)
    for step in range(steps):
        loss = torch.nn.functional.cross_entropy(features @ weight.T, labels)
        velocity = 0.9 * velocity + torch.autograd.grad(loss, weight)[0]
        with torch.no_grad():
            weight -= base * (1 - step / steps) ** 0.9 * velocity
    return weight.detach()
    ### END SOLUTION

# %% [markdown]
# Now the whole network, with **your** loss and **your** schedule: 300 steps of 8 crops, on the small part of the
# training set that comes with the course. The loop is the paper's, with two additions: *batch normalisation* is put
# in for the training and folded into the weights at its end (without it, a narrow network learns slowly); and the
# crops of a batch are laid side by side, because your loss takes one map. The library's own training, stopped after 60 of
# the 300 steps, must give the same losses.
#
# (Your loss begins at pixel 0, but this network has the paper's grid, which begins at pixel 1. So the loop cuts off the
# first row and column of the labels. A crop has {{130 = Recipe.shapes().crop}} pixels along a side, numbered 0 to 129: 17 scores, at
# pixels 1, 9, … 129.)

# %%
guess("training.first")

# %%
import sys

from torch.nn.functional import pad
from tqdm import tqdm

from dlseg.course import yours
from dlseg.networks.batch_norm import fold_batch_norm, insert_batch_norm
from dlseg.training import StopTraining, loss_at_stride, train
from dlseg.training.batches import batches

recipe = Recipe.shapes(batch=8, iterations=300, dropout=0.0)
own_rate, own_loss = yours("training.poly_rate"), yours("training.stride_loss")
if not getattr(own_loss(torch.zeros(2, 1, 1, requires_grad=True), torch.zeros(1, 1), 8), "requires_grad", False):
    print("stride_loss: the library's, until yours keeps its gradient (is there a float(…) or .item()?)")
    def own_loss(scores: torch.Tensor, labels: torch.Tensor, stride: int) -> torch.Tensor:
        return loss_at_stride(scores[None], labels[None, ::stride, ::stride])

started = {name: value.clone() for name, value in net.state_dict().items()}

# %%
for layer in net.modules():
    if isinstance(layer, torch.nn.Dropout):
        layer.p = recipe.dropout  # 0: so few steps need none
losses = []
for step, (x, y) in enumerate(tqdm(batches(train_set, recipe), total=300, file=sys.stdout, mininterval=3)):
    if step == 0:
        insert_batch_norm(net, x).train()
        optimiser = torch.optim.SGD(net.parameters(), momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    optimiser.param_groups[0]["lr"] = own_rate(recipe.lr, step, recipe.iterations, recipe.power)
    wide = torch.cat(tuple(net(x)), dim=2)                                   # 8 × (C, 17, 17) → (C, 17, 136)
    labels = torch.cat(tuple(pad(y[:, 1:, 1:], (0, 7), value=255)), dim=1)   # 8 × (129, 136) → (129, 1088)
    loss = own_loss(wide, labels, 8)
    optimiser.zero_grad(), loss.backward(), optimiser.step()
    losses.append(loss.item())
fold_batch_norm(net).eval();

# %%
def note(step):
    theirs.append(step.loss)
    if step.iteration == 60:
        raise StopTraining

twin, theirs = create("deeplab-largefov", val.num_classes, width=1 / 8), []
twin.load_state_dict(started)
train(twin, train_set, recipe, callbacks=[note])
apart = np.abs(np.array(theirs) - losses[:60])
print(f"largest difference between the two losses: {apart[:10].max():.0e} in the first 10 steps,"
      f" {apart.max():.0e} in 60")
plt.figure(figsize=(5, 2.2))
plt.plot(losses, label="your loop"), plt.plot(theirs, "--", label="the library's")
plt.axhline(np.log(val.num_classes), ls=":", color="grey", label="all classes alike")
plt.xlabel("step"), plt.ylabel("loss"), plt.legend(loc="upper left", bbox_to_anchor=(1, 1), handlelength=3.2);

# %%
from dlseg.evaluation import ConfusionMatrix

def measured(model: torch.nn.Module, count: int) -> ConfusionMatrix:
    table = ConfusionMatrix(val.num_classes)
    for sample in (val[i] for i in range(count)):
        table.update(predict(model, sample.image).labels, sample.label)
    return table

for name, model in [("after 60 steps", twin), ("after 300 steps", net), ("the shipped one, 1600 steps", trained)]:
    print(f"{name:28} mean IoU {100 * measured(model, 30).mean_iou('nan'):.1f} %"
          " (30 images, classes in truth or labels)")
panels([label_panel(name, image, predict(model, image).labels)
        for name, model in [("60 of 300 steps", twin), ("300 steps", net), ("the shipped one", trained)]]
       + [label_panel("the truth", image, truth)], val.classes)

# %%
def agreement(number: int) -> float:
    table = ConfusionMatrix(val.num_classes)
    return table.update(predict(net, val[number].image).labels, val[number].label).mean_iou("present")

best = val[max(range(30), key=agreement)]
panels([label_panel("300 steps: the best of 30 images", best.image, predict(net, best.image).labels),
        label_panel("the shipped one", best.image, predict(trained, best.image).labels),
        label_panel("the truth", best.image, best.label)], val.classes)

# %% [markdown]
# Most of an image is background, and that is what a network learns first. Then parts of the objects come. After 300
# steps, it finds objects on some images; on the chair with the fish, only a part of the fish, nothing of the chair, and
# a little that is not there. The shipped network saw more images, in 1600 steps of 16: `dlseg train --data shapes`.
#
# **Open experiment: learning rates.** Which rate is best, and what happens at a rate that is too high or too low?
# Before you run the cell, write down what you expect. Then change `tried`, `count` or the schedule until you can
# say it with numbers. (Each curve is 40 steps of `Recipe.shapes`, from the same start.)

# %%
tried, count = (0.002, 0.05, 0.5), 40
plt.figure(figsize=(5, 2.2))
for rate in tried:
    curve, probe = [], create("deeplab-largefov", val.num_classes, width=1 / 8)
    probe.load_state_dict(started)
    train(probe, train_set, Recipe.shapes(batch=8, iterations=count, lr=rate, dropout=0.0),
          callbacks=[lambda s, curve=curve: curve.append(s.loss)])
    print(f"rate {rate:5}: mean loss of the last ten steps {np.mean(curve[-10:]):.2f}")
    plt.plot(curve, label=f"rate {rate}")
plt.xlabel("step"), plt.ylabel("loss"), plt.yscale("log"), plt.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.yticks([0.25, 0.5, 1, 2, 4], ["¼", "½", "1", "2", "4"]), plt.minorticks_off();

# %% [markdown]
# **Report** (3 extra points, on top of the 100, read by a person). In 80 to 150 words: what you expected (1); what you
# measured, in at least three numbers (1); why a rate can be too high, and why the paper lets it fall (1).

# %% [markdown] manual={"id": "training-rates", "points": 3}
# *Your report goes here.*

# %% [markdown]
# **Live.** Start the training here; watch loss, learning rate and an image that is not in the training set; stop
# it, and let it go on.

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
counted = measured(trained, 30)
confusion_figure(counted.counts, val.classes)

# %% [markdown]
# **By hand.** Six pixels, two classes. The truth is 0 0 0 1 1 void, the prediction 0 0 1 1 1 0.
#
# | | taken for 0 | taken for 1 |
# |---|---|---|
# | is 0 | 2 | 1 |
# | is 1 | 0 | 2 |
#
# Five pixels are counted; the void one is not, whatever was predicted there.

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
# A class's IoU is its diagonal cell, divided by the sum of all cells in its row or its column. If a class occurs in
# neither, that is 0/0. On VOC's 1449 images this never happens. On a handful of images it does, and then one must say what such a class counts.
# There are three conventions:

# %%
guess("training.conventions")

# %%
few = measured(trained, 4)
for convention, words in [("voc", "absent counts as 0, as VOC's own code has it"),
                          ("present", "over classes in the truth"), ("nan", "over classes in either")]:
    print(f"{convention:8} 4 images {100 * few.mean_iou(convention):5.1f} %"
          f"   30 images {100 * counted.mean_iou(convention):5.1f} %   {words}")

# %% [markdown]
# **By hand.** The table of section 4.5, with a third class that is nowhere. Class 0: 2 hits; its row has 3 pixels and its
# column 2, so the union is 3 + 2 − 2 = 3, and the IoU 2/3. Class 1: 2 hits, 2 + 3 − 2 = 3, 2/3. Class 2: 0/0, counted as
# 0. The mean is (2/3 + 2/3 + 0) / 3 = **{{0.44 = (2 / 3 + 2 / 3 + 0) / 3}}**.

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
# The next cell shows an image of PASCAL VOC 2012, if the data set is on this machine (the teacher's guide says how to
# get it, and ImageNet's weights). The paper reports 62.25 % for LargeFOV after training on 10,582 images, before the
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
