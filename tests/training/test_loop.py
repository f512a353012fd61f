"""The loop learns, repeats itself exactly, and says what is wrong."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dlseg.networks import create
from dlseg.networks.batch_norm import fold_batch_norm, insert_batch_norm
from dlseg.training import Recipe, TrainingStep, loss_at_stride, train
from dlseg.training.dropout import SampleDropout
from dlseg.training.pretraining import pretrain
from dlseg.training.setup import balanced, parameter_groups, prepared, seconds_needed, weights_of_classes

RECIPE = Recipe(crop=42, batch=4, iterations=30, lr=2e-3, classifier_lr_factor=2.0, schedule="poly")


def tiny() -> nn.Module:
    torch.manual_seed(1)
    return create("deeplab-largefov", 3, width=1 / 16)


def test_the_loss_falls_and_callbacks_see_it(colours: object) -> None:
    steps: list[TrainingStep] = []
    train(tiny(), colours, RECIPE, [steps.append])
    assert [s.iteration for s in steps] == list(range(1, 31))
    assert np.mean([s.loss for s in steps[-5:]]) < 0.6 * steps[0].loss
    assert steps[0].rate == 1 and steps[-1].rate < 0.1


def test_the_same_seed_gives_the_same_weights(colours: object) -> None:
    recipe = replace(RECIPE, iterations=3)
    first, second = (train(tiny(), colours, recipe).state_dict() for _ in range(2))
    assert all(torch.equal(first[k], second[k]) for k in first)
    other = train(tiny(), colours, replace(recipe, seed=1)).state_dict()
    assert not all(torch.equal(first[k], other[k]) for k in first)


def test_loss_ignores_void_and_survives_nothing_else() -> None:
    scores = torch.randn(2, 3, 4, 4, requires_grad=True)
    labels = torch.randint(0, 3, (2, 4, 4))
    labels[0] = 255
    expected = nn.functional.cross_entropy(scores[1:], labels[1:])
    assert torch.allclose(loss_at_stride(scores, labels), expected)
    nothing = loss_at_stride(scores, torch.full((2, 4, 4), 255))
    nothing.backward()
    assert nothing == 0 and torch.equal(scores.grad, torch.zeros_like(scores))


@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(2, 6), void=st.floats(0, 1))
def test_weighted_loss_is_torchs(seed: int, classes: int, void: float) -> None:
    g = torch.Generator().manual_seed(seed)
    scores, labels = torch.randn(2, classes, 3, 5, generator=g), torch.randint(0, classes, (2, 3, 5), generator=g)
    labels[torch.rand(labels.shape, generator=g) < void] = 255
    weights = torch.rand(classes, generator=g)
    weights[torch.rand(classes, generator=g) < 0.3] = 0
    found = loss_at_stride(scores, labels, weights=weights)
    expected = nn.functional.cross_entropy(scores, labels, weights, ignore_index=255)
    torch.testing.assert_close(found, expected.nan_to_num(0.0))  # torch gives 0/0 where nothing has a weight
    torch.testing.assert_close(
        loss_at_stride(scores, labels, "sum", weights),
        nn.functional.cross_entropy(scores, labels, weights, ignore_index=255, reduction="sum"),
    )


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=30).filter(any))
def test_balanced_weights_share_the_loss_out(pixels: list[int]) -> None:
    weights, occurring = balanced(pixels), [count for count in pixels if count]
    shares = [weight * count for weight, count in zip(weights, pixels, strict=True)]
    assert [share > 0 for share in shares] == [count > 0 for count in pixels]
    assert [share for share in shares if share] == pytest.approx([sum(pixels) / len(occurring)] * len(occurring))


def test_the_weights_of_classes_reach_the_loss(colours: object) -> None:
    """A class of weight 0 is never learned; balanced weights come from the labels; parts change nothing."""
    recipe = replace(RECIPE, class_weights=(1.0, 0.0, 1.0))
    image = torch.full((1, 3, 42, 42), 30.0) - 115
    net = train(tiny(), colours, recipe)
    assert 1 not in net(image).argmax(1)  # dark, which would be class 1
    counted = weights_of_classes(colours, replace(RECIPE, class_weights="balanced"))
    dark, light = (sum(int((colours[i].label == c).sum()) for i in range(5)) for c in (1, 2))
    assert counted.tolist() == pytest.approx([0, (dark + light) / (2 * dark), (dark + light) / (2 * light)])
    assert weights_of_classes(colours, RECIPE) is None
    losses: list[TrainingStep] = []
    once = replace(recipe, iterations=1, precision="float64")
    for parts in (1, 2):
        train(tiny(), colours, once, [losses.append], accumulate=parts)
    assert losses[0].loss == pytest.approx(losses[1].loss, rel=1e-9)
    with pytest.raises(
        ValueError, match="class_weights: got 2 weights, expected one for each of the data's 3 classes"
    ):
        train(tiny(), colours, replace(recipe, class_weights=(1.0, 2.0)))


@pytest.mark.parametrize(
    ("value", "fault"), [(255, "labels that are void everywhere"), (1, "a single class, 'dark'")]
)
def test_labels_that_teach_nothing_are_refused(colours: object, value: int, fault: str) -> None:
    """A picture without labels, or all of one class, may come: not a data set of them."""
    everything = colours.__class__.__getitem__

    class Blank(type(colours)):
        but: int | None = None

        def __getitem__(self, i: int) -> object:
            sample = everything(self, i)
            return sample if i == self.but else replace(sample, label=np.full_like(sample.label, value))

    net, seen = tiny(), []
    before = {k: v.clone() for k, v in net.state_dict().items()}
    with pytest.raises(ValueError, match=f"data: got .*{fault}"):
        train(net, Blank(), RECIPE, [seen.append])
    assert not seen and all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    some = Blank()
    some.but = 3
    train(tiny(), some, replace(RECIPE, iterations=2), [seen.append])
    assert len(seen) == 2


def test_a_training_is_estimated_before_it_begins(colours: object) -> None:
    net, random = tiny(), torch.get_rng_state()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    short, long = (seconds_needed(net, replace(RECIPE, iterations=n), torch.device("cpu")) for n in (1, 10_000))
    assert 0 < short < 60 < long  # one takes a few milliseconds
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters()) and torch.equal(torch.get_rng_state(), random)


def test_the_sum_is_the_mean_times_the_valid_positions(colours: object) -> None:
    scores, labels = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    labels[1, 0] = 255
    assert torch.allclose(loss_at_stride(scores, labels, "sum"), 28 * loss_at_stride(scores, labels))
    sums: list[TrainingStep] = []
    means: list[TrainingStep] = []
    once = replace(RECIPE, iterations=1)
    train(tiny(), colours, replace(once, loss="sum"), [sums.append])
    train(tiny(), colours, once, [means.append])
    assert 50 < sums[0].loss / means[0].loss <= 4 * 36  # 6 × 6 positions, some of them void


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_batch_in_parts_gives_the_same_weights(precision: str, colours: object) -> None:
    """Up to rounding: in float32 1e-4 of the largest weight after 5 iterations, in float64 1e-12."""
    recipe = replace(RECIPE, iterations=5, precision=precision)
    whole = train(tiny(), colours, recipe).state_dict()
    tolerance = 1e-4 if precision == "float32" else 1e-6  # what comes back is float32 in both cases
    for parts in (2, 3, 4):
        split = train(tiny(), colours, recipe, accumulate=parts).state_dict()
        assert all(
            torch.allclose(whole[k], v, rtol=tolerance, atol=tolerance * float(whole[k].abs().max()))
            for k, v in split.items()
        )


def test_any_number_of_workers_gives_the_same_weights(colours: object) -> None:
    recipe = replace(RECIPE, iterations=4)
    alone = train(tiny(), colours, recipe).state_dict()
    helped = train(tiny(), colours, recipe, workers=2).state_dict()
    assert all(torch.equal(alone[k], helped[k]) for k in alone)


def test_bgr_is_rgb_with_the_filters_turned_round(colours: object) -> None:
    """The network that comes back takes RGB either way; the additions are in another order, hence 1e-6."""
    recipe = replace(RECIPE, iterations=3, precision="float64")
    rgb, bgr = (train(tiny(), colours, replace(recipe, channels=c)).state_dict() for c in ("rgb", "bgr"))
    assert all(torch.allclose(rgb[k], bgr[k], rtol=1e-6, atol=1e-9) for k in rgb)


def test_bfloat16_learns_and_leaves_float32(colours: object) -> None:
    steps: list[TrainingStep] = []
    net = train(tiny(), colours, replace(RECIPE, precision="bfloat16"), [steps.append])
    assert np.mean([s.loss for s in steps[-5:]]) < 0.6 * steps[0].loss
    assert all(p.dtype == torch.float32 for p in net.parameters())


def test_biases_by_themselves() -> None:
    """The release's: twice the rate, no decay; fc8's are at twenty times the base."""
    groups = parameter_groups(tiny(), Recipe.release())
    assert {(round(g["base"], 6), g["weight_decay"]): sum(p.ndim for p in g["params"]) for g in groups} == {
        (0.001, 5e-4): 4 * 15,
        (0.002, 0.0): 15,
        (0.01, 5e-4): 4,
        (0.02, 0.0): 1,
    }
    assert len(parameter_groups(tiny(), Recipe())) == 2


def test_branches_alone_learn_of_multi_scale(colours: object) -> None:
    torch.manual_seed(1)
    net = create("deeplab-msc-largefov", 3, width=1 / 16)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    train(net, colours, replace(RECIPE, iterations=3, batch_norm=True))
    moved = {k.split(".")[0] for k, v in net.state_dict().items() if not torch.equal(v, before[k])}
    assert moved == {"branches", "scores"} and net.state_dict().keys() == before.keys()


def test_a_new_classifier_is_drawn(colours: object) -> None:
    net = tiny()
    with prepared(net, colours, replace(RECIPE, classifier_std=0.5), torch.device("cpu")):
        assert 0.3 < float(net.fc8.weight.detach().std()) < 0.7 and not net.fc8.bias.any()


def test_a_network_is_plain_again_whatever_happens(colours: object) -> None:
    def stop(_: TrainingStep) -> None:
        raise KeyboardInterrupt

    net = tiny()
    with pytest.raises(KeyboardInterrupt):
        train(net, colours, replace(RECIPE, batch_norm=True, precision="float64"), [stop])
    assert net.state_dict().keys() == tiny().state_dict().keys() and not net.training
    assert not any(isinstance(m, nn.BatchNorm2d | SampleDropout) for m in net.modules())
    assert all(p.dtype == torch.float32 for p in net.parameters())


@pytest.mark.parametrize("workers", [0, 2])
def test_what_the_data_raise_comes_through_as_it_is(broken_colours: object, workers: int) -> None:
    with pytest.raises(ValueError, match=r"^picture2.jpg is damaged$"):
        train(tiny(), broken_colours, RECIPE, workers=workers)


def test_what_cannot_be_trained(colours: object) -> None:
    with pytest.raises(ValueError, match="expected a segmentation network"):
        train(create("vgg16-20m", 3, width=1 / 16), colours, RECIPE)
    with pytest.raises(ValueError, match="net: got 5 classes, expected the data's 3"):
        train(create("deeplab-largefov", 5, width=1 / 16), colours, RECIPE)
    for change, message in [
        ({"crop": 40}, r"crop: got 40, expected 8k \+ 2, so that .* \[1::8\] .*; nearest: 42"),
        ({"crop": 41, "label_offset": 0}, "label_offset: got 0, expected 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            train(tiny(), colours, replace(RECIPE, **change))
    for parts, recipe, message in [
        (0, RECIPE, "accumulate: got 0, expected 1 to 4 parts of a batch; nearest: 1"),
        (5, RECIPE, "nearest: 4"),
        (2, replace(RECIPE, batch_norm=True), "accumulate: got more than 1 with batch_norm"),
    ]:
        with pytest.raises(ValueError, match=message):
            train(tiny(), colours, recipe, accumulate=parts)
    with pytest.raises(ValueError, match="device: got 'gpu0', expected 'auto'"):
        train(tiny(), colours, RECIPE, device="gpu0")
    with pytest.raises(FloatingPointError, match=r"the loss is (nan|inf) at iteration"):
        train(tiny(), colours, replace(RECIPE, lr=1e6))


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


def test_batch_norm_is_gone_after_training(colours: object) -> None:
    net = train(tiny(), colours, replace(RECIPE, iterations=3, batch_norm=True))
    assert not any(isinstance(m, nn.BatchNorm2d) for m in net.modules())
    assert set(net.state_dict()) == set(tiny().state_dict())


def test_pretraining_tells_dark_from_light() -> None:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 2, 64)
    light = (150 * classes[:, None, None, None]).astype(np.uint8)
    images = rng.integers(0, 60, (64, 32, 32, 3), dtype=np.uint8) + light
    steps: list[TrainingStep] = []
    net = create("vgg16-20m", 2, width=1 / 16)
    pretrain(net, images, classes, epochs=6, batch=16, lr=0.05, callbacks=[steps.append])
    assert len(steps) == steps[-1].iterations == 24 and steps[-1].loss < 0.5 * steps[0].loss
    assert not any(isinstance(m, nn.BatchNorm2d) for m in net.modules())


def test_pretraining_leaves_out_the_share_it_was_asked_to_and_ends_with_the_networks_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images, classes = rng.integers(0, 256, (8, 32, 32, 3), dtype=np.uint8), rng.integers(0, 2, 8)
    seen: list[float] = []

    def learn(share: float) -> nn.Module:
        torch.manual_seed(1)
        net = create("vgg16-20m", 2, width=1 / 64)
        note = lambda _: seen.extend(layer.p for layer in net.modules() if isinstance(layer, nn.Dropout))  # noqa: E731
        return pretrain(net, images, classes, epochs=1, batch=4, dropout=share, callbacks=[note])

    few, many = learn(0.0), learn(0.9)
    assert set(seen[:4]) == {0.0} and set(seen[4:]) == {0.9}
    assert all(layer.p == 0.5 for net in (few, many) for layer in net.modules() if isinstance(layer, nn.Dropout))
    assert not torch.equal(few.state_dict()["fc6.weight"], many.state_dict()["fc6.weight"])
    with pytest.raises(ValueError, match=r"dropout: got 1\.5"):
        learn(1.5)


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_a_killed_pretraining_goes_on(optimiser: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images, classes = rng.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8), rng.integers(0, 2, 12)

    def learn(callback: object, checkpoint: Path | None, **changes: object) -> nn.Module:
        torch.manual_seed(1)
        net = create("vgg16-20m", 2, width=1 / 64)
        settings = {"epochs": 3, "batch": 4, "lr": 0.01, "optimiser": optimiser, "every": 2} | changes
        return pretrain(net, images, classes, callbacks=[callback], checkpoint=checkpoint, **settings)

    def kill(step: TrainingStep) -> None:
        if step.iteration == 6:
            raise KeyboardInterrupt

    seen: list[TrainingStep] = []
    whole = learn(lambda _: None, None).state_dict()
    with pytest.raises(KeyboardInterrupt):
        learn(kill, tmp_path / "c")
    with pytest.raises(ValueError, match="belongs to another run \\(other lr, seed\\)"):
        learn(kill, tmp_path / "c", lr=0.1, seed=7)
    rest = learn(seen.append, tmp_path / "c").state_dict()
    assert [step.iteration for step in seen] == [5, 6, 7, 8, 9] and not (tmp_path / "c").exists()
    assert all(torch.equal(whole[key], value) for key, value in rest.items())
    with pytest.raises(ValueError, match="batch: got 13, expected"):
        learn(kill, None, batch=13)
