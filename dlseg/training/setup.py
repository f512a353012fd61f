"""What happens to a network around its training: where it computes, what the recipe puts in and takes out again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn

from dlseg.common.checks import message
from dlseg.common.constants import VOID
from dlseg.datasets.counts import count_labels
from dlseg.datasets.protocols import LabelledImages
from dlseg.networks import MultiScale, Network, ScoreGrid
from dlseg.networks.batch_norm import fold_batch_norm, insert_batch_norm
from dlseg.training.batches import batches
from dlseg.training.distributed import processes, share_statistics
from dlseg.training.dropout import drawn_by_sample
from dlseg.training.recipe import Recipe, check_crop

MOST_WORKERS = 8


def check_fit(net: Network, data: LabelledImages, recipe: Recipe, accumulate: int) -> ScoreGrid:
    """The network's score grid, where network, data and recipe go together.

    Raises:
        ValueError: they do not.
    """
    if net.grid is None:
        got = f"{net.spec.variant}, which gives one answer an image"
        raise ValueError(message("net", got, "a segmentation network (deeplab…)"))
    if net.spec.num_classes != data.num_classes:
        raise ValueError(f"net: got {net.spec.num_classes} classes, expected the data's {data.num_classes}")
    if recipe.label_offset not in (None, net.grid.offset):
        raise ValueError(
            f"label_offset: got {recipe.label_offset}, expected {net.grid.offset}, where the scores "
            f"of {net.spec.variant} with geometry {net.spec.geometry!r} are (Recipe.paper and "
            "Recipe.release go with the geometry of that name)"
        )
    check_crop(recipe.crop, net.grid.stride, net.grid.offset)
    if not 1 <= accumulate <= recipe.batch:
        near = min(max(accumulate, 1), recipe.batch)
        raise ValueError(
            message("accumulate", accumulate, f"1 to {recipe.batch} parts of a batch", f"nearest: {near}")
        )
    if accumulate > 1 and recipe.batch_norm:
        raise ValueError(
            "accumulate: got more than 1 with batch_norm, expected 1: its statistics need the whole batch at once; "
            "switch one of them off"
        )
    return net.grid


def check_learnable(data: LabelledImages, targets: Integer[Tensor, "B h w"]) -> None:
    """Look at the targets of the first batch; where they hold less than two classes, count all labels of `data`.

    Raises:
        ValueError: nothing can be learned from them, for instance since all are void.
    """
    if len(targets[targets != VOID].unique()) < 2 and (fault := count_labels(data).fault()):
        raise ValueError(f"data: {fault}")


def weights_of_classes(data: LabelledImages, recipe: Recipe) -> Float[Tensor, " C"] | None:
    """What a pixel of each class weighs in the loss; None where all weigh the same.

    Raises:
        ValueError: the recipe has weights of another number of classes. Also what counting the labels raises.
    """
    if recipe.class_weights is None:
        return None
    if recipe.class_weights == "balanced":
        return torch.tensor(balanced(count_labels(data).pixels), dtype=torch.float64)
    if len(recipe.class_weights) != data.num_classes:
        expected = f"one for each of the data's {data.num_classes} classes"
        raise ValueError(message("class_weights", f"{len(recipe.class_weights)} weights", expected))
    return torch.tensor(recipe.class_weights, dtype=torch.float64)


def balanced(pixels: Sequence[int]) -> list[float]:
    """Weights by which every class that occurs has the same share of the loss, and a pixel weighs 1 on average.

    A class that no pixel holds weighs 0.

    >>> balanced([300, 100, 0])
    [0.6666666666666666, 2.0, 0.0]
    """
    total, occurring = sum(pixels), sum(map(bool, pixels))
    return [total / (occurring * count) if count else 0.0 for count in pixels]


def plain_copy(net: Network, recipe: Recipe) -> Network:
    """A copy of a network in training as training would leave it now: plain, in float32, for RGB images."""
    copy = fold_batch_norm(deepcopy(net))
    turn_channels(copy, recipe)
    return copy.float().eval()


def seconds_needed(net: Network, recipe: Recipe, device: torch.device, looked_at: int = 2) -> float:
    """About how long a training will take, by one step of a copy of `net` on a few images; reading is not counted.

    Args:
        net: a segmentation network; it stays as it is.
        recipe: what it will be trained by.
        device: where.
        looked_at: images of the step; a batch takes so many times longer as it is larger.
    """
    copy, share = deepcopy(net).to(device).train(), len(processes().share(recipe.batch))
    images = torch.zeros(min(share, looked_at), 3, recipe.crop, recipe.crop, device=device)
    begin = 0.0
    with torch.random.fork_rng():  # its dropout takes no random numbers from what comes after
        for _ in range(2):  # the first one starts everything and does not count
            begin = time.perf_counter()
            with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
                copy(images).float().square().sum().backward()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
    return (time.perf_counter() - begin) * share / len(images) * recipe.iterations


def resolve(device: str | torch.device) -> torch.device:
    """A device by name; "auto" is this process's GPU, or the CPU where there is none.

    Raises:
        ValueError: a name of none, or a device that this machine, or this torch, does not have.

    >>> resolve("cpu")
    device(type='cpu')
    """
    if str(device) != "auto":
        try:
            found = torch.device(device)
        except RuntimeError as error:
            raise ValueError(f"device: got {device!r}, expected 'auto', 'cpu', 'cuda', 'cuda:1', …") from error
        there = _devices()
        if found.type not in there or (found.index or 0) >= there[found.type]:
            names = [f"{kind}:0 to {kind}:{n - 1}" if n > 1 else kind for kind, n in there.items() if n]
            raise ValueError(
                f"device: got {str(device)!r}, which torch {torch.__version__} does not find on this "
                f"machine, expected 'auto' or one of what is there: {', '.join(names)}"
            )
        return found
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def _devices() -> dict[str, int]:
    """How many devices of each kind torch can compute on here."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return {"cpu": 1, "cuda": gpus, "mps": int(torch.backends.mps.is_available())}


def number_type(recipe: Recipe) -> torch.dtype:
    """The type of the weights while they learn.

    >>> number_type(Recipe(precision="bfloat16")), number_type(Recipe(precision="float64"))
    (torch.float32, torch.float64)
    """
    return torch.float64 if recipe.precision == "float64" else torch.float32


def default_workers(device: torch.device, workers: int | None) -> int:
    """None: on a CPU 0, since the network keeps every core busy; beside a GPU, this process's part of the cores."""
    if workers is not None:
        return workers
    return 0 if device.type == "cpu" else min(MOST_WORKERS, (os.cpu_count() or 1) // processes().size)


def parameter_groups(net: Network, recipe: Recipe) -> list[dict[str, object]]:
    """What learns, by rate and decay: the classifiers faster than the rest, biases as the recipe has it."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            fast = recipe.classifier_lr_factor if "fc8" in name or name.startswith("scores.") else 1.0
            bias = name.endswith("bias")
            base = recipe.lr * fast * (recipe.bias_lr_factor if bias else 1.0)
            decay = recipe.weight_decay if recipe.decay_biases or not bias else 0.0
            groups.setdefault((base, decay), []).append(parameter)
    return [{"params": p, "base": base, "weight_decay": decay} for (base, decay), p in groups.items()]


@contextmanager
def prepared(
    net: Network, data: LabelledImages, recipe: Recipe, device: torch.device
) -> Iterator[Callable[[Sequence[int]], None]]:
    """For a while, `net` is as the recipe wants it; then it is plain again, where it was, also after an error.

    Yields a function to call with the numbers of the samples that the network sees next: their dropout is theirs.
    """
    first = next(net.parameters())
    home = first.device, first.dtype
    net.to(device, number_type(recipe))
    nn.utils.convert_conv2d_weight_memory_format(net, torch.channels_last)  # faster, else the same
    turn_channels(net, recipe)
    if recipe.classifier_std is not None:
        _draw_classifier(net, recipe.classifier_std)
    if recipe.batch_norm:
        insert_batch_norm(net, next(batches(data, recipe))[0].to(device, number_type(recipe)))
        if processes().size > 1:
            share_statistics(net)
    try:
        with drawn_by_sample(net, recipe.dropout, recipe.seed) as layers:

            def set_numbers(numbers: Sequence[int]) -> None:
                for layer in layers:
                    layer.numbers = numbers

            yield set_numbers
    finally:
        fold_batch_norm(net).eval()
        turn_channels(net, recipe)
        net.to(*home)


@torch.no_grad()
def turn_channels(net: Network, recipe: Recipe) -> None:
    """For "bgr", turn round the input channels of every filter that sees the image; a second time undoes it."""
    if recipe.channels == "bgr":
        names = ["branches.image.layers.conv1"] if isinstance(net, MultiScale) else []
        for conv in (next(net.main.children()), *map(net.get_submodule, names)):
            assert isinstance(conv, nn.Conv2d)
            conv.weight.copy_(conv.weight.flip(1))


@torch.no_grad()
def _draw_classifier(net: Network, deviation: float) -> None:
    for name, parameter in net.main.named_parameters():
        if name.startswith("fc8.") and parameter.requires_grad:
            nn.init.normal_(parameter, std=deviation) if name.endswith("weight") else nn.init.zeros_(parameter)
