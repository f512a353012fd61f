"""The loop learns, repeats itself exactly, and says what is wrong."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from dlseg.datasets.transforms import crop_and_mirror, pad_to, to_input
from dlseg.networks import create
from dlseg.networks.batch_norm import fold_batch_norm, insert_batch_norm
from dlseg.training import Recipe, Step, loss_at_stride, train
from dlseg.training.batches import Samples, batches
from dlseg.training.pretraining import pretrain

RECIPE = Recipe(crop=42, batch=4, iterations=30, lr=2e-3, classifier_lr_factor=2.0, schedule="poly")


class TwoColours:
    """A stand-in for a data set: the left half is dark and class 1, the right half light and class 2."""

    num_classes, classes = 3, ("background", "dark", "light")

    def __len__(self) -> int:
        return 5

    def __getitem__(self, i: int) -> object:
        from dlseg.datasets import Sample

        image = np.full((40, 48, 3), 30 + 5 * i, np.uint8)
        label = np.ones((40, 48), np.uint8)
        image[:, 24:], label[:, 24:], label[:, 23:25] = 220, 2, 255
        return Sample(f"picture{i}", image, label)


def tiny() -> nn.Module:
    torch.manual_seed(1)
    return create("deeplab-largefov", 3, width=1 / 16)


def test_the_loss_falls_and_callbacks_see_it() -> None:
    steps: list[Step] = []
    train(tiny(), TwoColours(), RECIPE, [steps.append])
    assert [s.iteration for s in steps] == list(range(1, 31))
    assert np.mean([s.loss for s in steps[-5:]]) < 0.6 * steps[0].loss
    assert steps[0].rate == 1 and steps[-1].rate < 0.1


def test_the_same_seed_gives_the_same_weights() -> None:
    recipe = replace(RECIPE, iterations=3)
    first, second = (train(tiny(), TwoColours(), recipe).state_dict() for _ in range(2))
    assert all(torch.equal(first[k], second[k]) for k in first)
    other = train(tiny(), TwoColours(), replace(recipe, seed=1)).state_dict()
    assert not all(torch.equal(first[k], other[k]) for k in first)


def test_samples_can_be_taken_up_anywhere() -> None:
    def some(first: int, count: int) -> list[torch.Tensor]:
        samples = Samples(TwoColours(), RECIPE)
        return [samples.make(k)[0] for k in range(first, first + count)]

    whole = some(0, 13)  # more than two rounds of the five images
    for first in (1, 4, 5, 11):
        assert all(torch.equal(a, b) for a, b in zip(whole[first:], some(first, 13 - first), strict=True))
    images, labels = next(batches(TwoColours(), RECIPE, 1))
    assert torch.equal(images, torch.stack(whole[4:8])) and labels.shape == (4, 42, 42)


def test_each_image_comes_once_an_epoch() -> None:
    samples = Samples(TwoColours(), replace(RECIPE, mirror=False))
    darkest = [int((samples.make(k)[0][0].min() + 122.675).round()) for k in range(10)]
    assert sorted(darkest[:5]) == sorted(darkest[5:]) == [30, 35, 40, 45, 50]


def test_loss_ignores_void_and_survives_nothing_else() -> None:
    scores = torch.randn(2, 3, 4, 4, requires_grad=True)
    labels = torch.randint(0, 3, (2, 4, 4))
    labels[0] = 255
    expected = nn.functional.cross_entropy(scores[1:], labels[1:])
    assert torch.allclose(loss_at_stride(scores, labels), expected)
    nothing = loss_at_stride(scores, torch.full((2, 4, 4), 255))
    nothing.backward()
    assert nothing == 0 and torch.equal(scores.grad, torch.zeros_like(scores))


def test_pad_is_the_mean_pixel_and_void() -> None:
    image, label = pad_to(np.zeros((2, 3, 3), np.uint8), np.ones((2, 3), np.uint8), 4)
    assert image.shape == (4, 4, 3) and (label[2:] == 255).all() and (label[:, 3:] == 255).all()
    assert to_input(image)[:, 3, 3].abs().max() < 0.5  # the mean pixel, up to rounding to a byte
    whole = np.zeros((5, 4, 3), np.uint8), np.zeros((5, 4), np.uint8)
    assert all(a is b for a, b in zip(pad_to(*whole, 4), whole, strict=True))


def test_crop_and_mirror_keep_image_and_label_together() -> None:
    label = np.arange(30 * 20, dtype=np.uint16).reshape(30, 20).astype(np.uint8)
    image = np.repeat(label[..., None], 3, axis=2)
    for seed in range(20):
        i, lab = crop_and_mirror(image, label, 9, np.random.default_rng(seed))
        assert lab.shape == (9, 9) and np.array_equal(i[..., 1], lab)


@pytest.mark.parametrize(("change", "message"), [
    ({"lr": -1.0}, "lr: got -1.0, expected more than 0"),
    ({"crop": 0}, "crop: got 0"),
    ({"momentum": 1.0}, "momentum: got 1.0"),
    ({"weight_decay": -0.1}, "weight_decay: got -0.1"),
    ({"schedule": "cosine"}, "schedule"),
])
def test_recipe_names_what_is_wrong(change: dict[str, object], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        replace(RECIPE, **change)


def test_recipe_json_both_ways() -> None:
    assert Recipe.from_json(RECIPE.to_json()) == RECIPE
    with pytest.raises(ValueError, match="unknown learning_rate; known are crop, batch"):
        Recipe.from_json('{"learning_rate": 1}')


def test_the_papers_schedule() -> None:
    assert [Recipe().rate(i) for i in (0, 1999, 2000, 5999)] == pytest.approx([1, 1, 0.1, 0.01])


def test_what_cannot_be_trained() -> None:
    with pytest.raises(ValueError, match="expected a labeller"):
        train(create("vgg16-20m", 3, width=1 / 16), TwoColours(), RECIPE)
    with pytest.raises(ValueError, match="net: has 5 classes, expected the data's 3"):
        train(create("deeplab-largefov", 5, width=1 / 16), TwoColours(), RECIPE)
    with pytest.raises(FloatingPointError, match=r"the loss is (nan|inf) at iteration"):
        train(tiny(), TwoColours(), replace(RECIPE, lr=1e6))


def test_folding_batch_norm_changes_nothing() -> None:
    torch.manual_seed(0)
    net = insert_batch_norm(create("vgg16-20m", 4, width=1 / 16)).double()
    for _ in range(3):  # let the running statistics move away from 0 and 1
        net.train()(torch.randn(4, 3, 64, 64, dtype=torch.float64) * 50 + 10)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias)
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64) * 50
    normed = net.eval()(x)
    folded = fold_batch_norm(net)(x)
    assert torch.allclose(normed, folded, rtol=1e-9, atol=1e-9)
    assert set(net.state_dict()) == set(create("vgg16-20m", 4, width=1 / 16).state_dict())


def test_calibrated_batch_norm_goes_on_where_the_net_is() -> None:
    torch.manual_seed(0)
    net = create("vgg16-20m", 4, width=1 / 16).double().eval()
    x = torch.randn(4, 3, 64, 64, dtype=torch.float64) * 50
    before = net(x)
    insert_batch_norm(net, x).eval()
    assert torch.allclose(net(x), before, rtol=1e-9)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.train()  # normalises by this very batch, and undoes it
    # statistics of the batch are biased where the calibration's are not: 1/(B·H·W) at the coarsest map
    assert torch.allclose(net(x), before, rtol=0.05, atol=0.05 * float(before.detach().std()))


def test_batch_norm_is_gone_after_training() -> None:
    net = train(tiny(), TwoColours(), replace(RECIPE, iterations=3, batch_norm=True))
    assert not any(isinstance(m, nn.BatchNorm2d) for m in net.modules())
    assert set(net.state_dict()) == set(tiny().state_dict())


def test_pretraining_tells_dark_from_light() -> None:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 2, 64)
    light = (150 * classes[:, None, None, None]).astype(np.uint8)
    images = rng.integers(0, 60, (64, 32, 32, 3), dtype=np.uint8) + light
    steps: list[Step] = []
    net = create("vgg16-20m", 2, width=1 / 16)
    pretrain(net, images, classes, epochs=6, batch=16, lr=0.05, callbacks=[steps.append])
    assert len(steps) == steps[-1].iterations == 24 and steps[-1].loss < 0.5 * steps[0].loss
    assert not any(isinstance(m, nn.BatchNorm2d) for m in net.modules())
