# %% [markdown]
# # The tour: from a coarse score map to sharp edges
#
# A network trained to say **what** is in a picture is poor at saying **where** it is. DeepLab (Chen and
# others, ICLR 2015) turns such a network into one that labels every pixel, coarsely, and then sharpens the
# labels with a *fully connected CRF* (conditional random field). You will see both steps on one picture, and drag the
# slider that makes the edges sharp.
#
# *All cells run in about 20 seconds (two cores); reading takes ten minutes. You should know what a picture is to a
# computer: rows of pixels. At the end you can say what each of the two steps is for. A word with a dotted line shows its
# meaning when the mouse rests on it; a click leads to the list of words at the end.*
#
# **Start here:** click the first grey cell, press Shift+Enter, and go on to the end: five cells.

# %% [markdown]
# ## 1 · The image
# On the right is the *truth*: each pixel's class, painted over the photo. The striped ring is *void*: near an edge
# even people disagree, and these pixels are not counted.

# %%
from dlseg.datasets import load
from dlseg.figures import Bar, Panel, heat_panel, label_panel, panels

val = load("shapes", "val")
sample = val[32]
image, truth = sample.image, sample.label
panels([Panel("the image", image), label_panel("the truth", image, truth)],
       val.classes)

# %% [markdown]
# ## 2 · The coarse score map
# The network is VGG-16, a classifier, made to give a score for each class at many places instead of one
# answer for the whole picture (paper, section 3). (Here it is a narrow copy, trained on drawn pictures.) Scores lie
# 8 pixels apart: the *stride* is 8. Below is one class's *score map*, first as the network gives it, then enlarged
# eightfold by *bilinear interpolation*: straight lines between the scores.

# %%
from dlseg.networks import create
from dlseg.predict import predict

net = create("deeplab-largefov", num_classes=val.num_classes, width=1 / 8, weights="shapes")
found = predict(net, image)

chair = val.classes.index("chair")
small, large = found.coarse[chair], found.scores[chair]
bar = Bar.over("score for “chair”: more is more likely", small)
panels([Panel("the image", image), heat_panel("a score every 8 pixels", small, bar),
        heat_panel("enlarged eightfold", large, bar)])

# %% [markdown]
# ## 3 · From scores to labels
# Each pixel takes the class with the highest score. The network found both things and named them, but two of the
# chair's legs are lost and edges are guesses: on the way to its answer, *pooling* (notebook 1) threw the exact place
# away.

# %%
panels([label_panel("the truth", image, truth),
        label_panel("the network", image, found.labels)], val.classes)

# %% [markdown]
# ## 4 · The fully connected CRF
# Now every pixel is connected to every other pixel (section 4): two pixels of **similar colour**, near or far, pull
# each other towards one label. The weight $w_1$ says how strongly. **Drag the slider to 0 and back**, or click it
# and use the arrow keys. At 0 colours count for nothing (a second, weaker term still smooths a little). At 1 most
# edges find their place; from 4 on the legs are back and the edges are sharp.

# %%
from dlseg.widgets import crf_studio

studio = crf_studio(image, probs=found.probs, truth=truth, classes=val.classes,
                    sliders=["w1"], tools=False)

# %% [markdown]
# ## 5 · Go on from what your hand found
# Code can read the slider's setting and the labels that it gives. Move the slider above and run this cell again: the
# last line changes. *Mean IoU* is the paper's measure: overlap of labels and truth (intersection over union), averaged
# over the classes. Here the average runs over each class that is in the truth *or* in the labels. A class that is
# only in the labels counts as 0, so a few wrong specks cost a lot.

# %%
from dlseg.evaluation import ConfusionMatrix

for name, labels in [("network alone", found.labels),
                     (f"CRF, w1 = {studio.params.w1:g}", studio.labels)]:
    score = ConfusionMatrix(val.num_classes).update(labels, truth).mean_iou("nan")
    print(f"{name:15} mean IoU {100 * score:5.1f} % (classes in the truth or in the labels)")

# %% [markdown]
# ## Words
# {{glossary}}
#
# ## Further reading
# The paper: [DeepLab v1](https://arxiv.org/abs/1412.7062). Its CRF:
# [Krähenbühl and Koltun](https://arxiv.org/abs/1210.5644). Dense scores before it:
# [OverFeat](https://arxiv.org/abs/1312.6229), [Giusti and others](https://arxiv.org/abs/1302.1700). Beside it:
# [FCN](https://arxiv.org/abs/1411.4038). After it: [CRF-RNN](https://arxiv.org/abs/1502.03240), DeepLab
# [v2](https://arxiv.org/abs/1606.00915) and [v3](https://arxiv.org/abs/1706.05587).
#
# **How it went on.** CRFs of neighbouring pixels on a grid came first. In 2011 Krähenbühl and Koltun tied *every*
# pair of pixels and kept it quick. DeepLab (2015) put that CRF behind a network, and CRF-RNN trained both as one.
# DeepLab v2 looked at several rates at once (*ASPP*) and still had the CRF; v3 dropped it and was better all the
# same. The holes stayed.

# %% [markdown]
# **Remember:** the network knows *what*; its stride of 8 costs it *where*; the CRF brings *where* back from
# the image's own colours. The next notebooks take each part to pieces: pooling, holes, fields, training, the
# CRF.
