"""The builder: the paper's counts and sizes, the arguments it refuses, the map between scores and pixels."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dlseg.networks import ScoreGrid, create, load_trunk, variants

SEGMENTATION = [n for n in variants() if n.startswith("deeplab")]
NETWORKS = [(name, geometry) for name in variants() for geometry in ("paper", "release")]
PARAMETERS = {
    ("deeplab-7x7", 21): 134_346_581,
    ("deeplab", 21): 65_140_565,
    ("deeplab-4x4", 21): 65_140_565,
    ("deeplab-largefov", 21): 20_505_429,
    ("vgg16-20m", 21): 20_505_429,
    ("vgg16", 1000): 138_357_544,
    ("alexnet", 1000): 62_378_344,
    ("deeplab-alexnet", 21): 7_178_645,
}


def test_parameters_are_table_2s_and_the_public_counts() -> None:
    with torch.device("meta"):
        found = {(n, classes): sum(p.numel() for p in create(n, classes).parameters()) for n, classes in PARAMETERS}
    assert found == PARAMETERS


def test_crop_sizes() -> None:
    for name in SEGMENTATION:
        for geometry, crop, scores in (("paper", 306, 39), ("release", 321, 41)):
            net = create(name, width=1 / 64, geometry=geometry).eval()
            assert net(torch.zeros(1, 3, crop, crop)).shape == (1, 21, scores, scores), (name, geometry)


def test_score_size_is_what_comes_out() -> None:
    for name, geometry in NETWORKS:
        net = create(name, width=1 / 64, geometry=geometry).eval()
        own = {"vgg16": (224, 239), "alexnet": (227, 250)}.get(name)
        for size in (own,) if own else ((33, 50), (64, 41), (127, 128), (129, 97)):
            shape = net.score_map(torch.zeros(1, 3, *size)).shape
            assert (shape[2:] or (1, 1)) == net.score_size(size), (name, geometry, size)


def test_labels_always_fit_the_scores() -> None:
    for geometry in ("paper", "release"):
        net = create("deeplab-largefov", width=1 / 64, geometry=geometry)
        for height in range(10, 48):
            size = net.score_size((height, 64))
            labels = torch.arange(height * 64).reshape(1, height, 64)
            picked = net.grid.decimate(labels, size)
            assert picked.shape == (1, *size), (geometry, height)
            for row in range(size[0]):
                pixel = net.grid.offset + 8 * row
                expected = labels[0, pixel, net.grid.offset + 8] if pixel < height else 255
                assert picked[0, row, 1] == expected, (geometry, height)


@pytest.mark.parametrize("offset", [0, 1])
def test_upsampling_passes_through_the_labelled_pixels(offset: int) -> None:
    grid, scores = ScoreGrid(8, offset), torch.randn(2, 3, 6, 5, dtype=torch.float64)
    pixels = grid.upsample(scores, (50, 38))
    assert pixels.shape == (2, 3, 50, 38)
    assert torch.equal(grid.decimate(pixels, (6, 5)), scores)
    middle = pixels[..., offset + 4, offset + 8]
    assert torch.allclose(middle, (scores[..., 0, 1] + scores[..., 1, 1]) / 2, rtol=0, atol=1e-15)


def test_upsampling_from_8k_plus_1_is_align_corners() -> None:
    scores = torch.randn(1, 2, 41, 41)
    assert torch.equal(
        ScoreGrid(8).upsample(scores, (321, 321)),
        F.interpolate(scores, (321, 321), mode="bilinear", align_corners=True),
    )


def test_classifier_is_the_mean_of_its_score_map() -> None:
    net, image = create("vgg16-20m", 5, width=1 / 16).eval(), torch.randn(2, 3, 96, 64)
    scores = net.score_map(image)
    assert scores.shape == (2, 5, 3, 2)
    assert torch.equal(net(image), scores.mean((2, 3)))


def test_narrow_widths() -> None:
    net = create("deeplab-largefov", 9, width=1 / 8)
    widths = {n: m.out_channels for n, m in net.named_children() if isinstance(m, nn.Conv2d)}
    assert [widths[f"conv{i}_1"] for i in range(1, 6)] == [8, 16, 32, 64, 64]
    assert (widths["fc6"], widths["fc7"], widths["fc8"]) == (128, 128, 9)


def test_load_trunk_copies_all_but_the_classes() -> None:
    classifier = create("vgg16-20m", 1000, width=1 / 16)
    net = create("deeplab-largefov", 21, width=1 / 16)
    done = load_trunk(net, classifier)
    assert done.new == ("fc8",)
    assert len(done.copied) == 15
    assert torch.equal(net.fc6.weight, classifier.fc6.weight)
    assert net.fc6.weight.data_ptr() != classifier.fc6.weight.data_ptr()
    assert load_trunk(net, create("vgg16-20m", 21, width=1 / 16)).new == ()
    assert "fc6" in load_trunk(create("deeplab", width=1 / 16), classifier).new


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"name": "resnet"}, "name: got 'resnet', expected one of vgg16, "),
        ({"geometry": "caffe"}, "geometry: got 'caffe', expected 'paper' or 'release'"),
        ({"width": 0.0}, r"width: got 0\.0, expected a number over 0 and at most 4"),
        ({"width": "1/8"}, "width: got '1/8', expected a number over 0 and at most 4"),
        ({"num_classes": 0}, "num_classes: got 0, expected a whole number >= 1"),
        ({"num_classes": 21.0}, r"num_classes: got 21\.0, expected a whole number >= 1"),
    ],
)
@pytest.mark.usefixtures("as_users_see_it")
def test_wrong_arguments_are_named(arguments: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        create(**{"name": "deeplab", **arguments})


def test_wrong_images_are_named() -> None:
    net = create("deeplab-largefov", width=1 / 64)
    with pytest.raises(ValueError, match=r"1×1 is too small: nothing is left of it at pool4"):
        net(torch.zeros(1, 3, 1, 1))
    with pytest.raises(ValueError, match=r"9×99 is too small: nothing is left of it at pool5"):
        net(torch.zeros(1, 3, 9, 99))
    with pytest.raises(ValueError, match="nothing is left of it at pool1"):
        create("vgg16", width=1 / 64)(torch.zeros(1, 3, 1, 1))
    release = create("deeplab-largefov", width=1 / 64, geometry="release")
    assert release(torch.zeros(1, 3, 1, 1)).shape == (1, 21, 1, 1)


def test_every_network_computes_in_bfloat16() -> None:
    """As `.bfloat16()` makes it; torch's own response normalisation, AlexNet's, does not on a CPU."""
    for name in variants():
        net = create(name, 3, width=1 / 64).eval()
        image = torch.randn(1, 3, *net.input_size)
        small = net.bfloat16().score_map(image.bfloat16())
        assert small.dtype == torch.bfloat16 and bool(torch.isfinite(small).all())


def test_another_size_than_the_classifiers_is_named() -> None:
    with pytest.raises(ValueError, match=r"fc6 is fully connected to 7×7 cells; an image of 256×256 has 8×8"):
        create("vgg16", width=1 / 64)(torch.zeros(1, 3, 256, 256))


def test_repr_reads_like_the_paper() -> None:
    text = repr(create("deeplab-largefov", width=1 / 8))
    assert "deeplab-largefov: 21 classes, width 0.125, paper geometry" in text
    for words in (
        "conv5_3              3×3 conv, 64, input stride 2, padding 2, ReLU",
        "fc6                  3×3 conv, 128, input stride 12, padding 12, ReLU, dropout 0.5",
        "pool1                2×2 max pool, stride 2, padding 1",
    ):
        assert words in text
    assert "16×16 upsampling ×8, bilinear, fixed" in repr(create("fcn-8s", width=1 / 64))
    assert "average pool" in repr(create("deeplab-largefov", width=1 / 64, geometry="release"))


def test_ceil_traps() -> None:
    """Caffe rounds sizes up: 3×3 pools of stride 2 agree with torch's floor only at odd sizes, 2×2 with
    padding 1 at every size (the last window would begin beyond the map)."""
    release = create("deeplab-largefov", width=1 / 64, geometry="release")
    for size in range(1, 70):
        x = torch.zeros(1, 1, size, size)
        up, down = (F.max_pool2d(x, 3, 2, 1, ceil_mode=c).shape[-1] for c in (True, False))
        assert (up == down) == (size % 2 == 1), size
        assert F.max_pool2d(x, 2, 2, 1).shape == F.max_pool2d(x, 2, 2, 1, ceil_mode=True).shape, size
        assert release.score_size((size, size)) == (-(-(size - 1) // 8) + 1,) * 2, size
        if size % 8 == 1:
            assert release.score_size((size, size)) == (size // 8 + 1,) * 2, size


def test_500_pixels_are_64_positions_in_caffe() -> None:
    assert create("deeplab-largefov", width=1 / 64, geometry="release").score_size((500, 513)) == (64, 65)


def test_tiny_and_odd_images() -> None:
    """Finite scores of the right size, or one clear error."""
    for name, geometry in NETWORKS:
        if name in ("vgg16", "alexnet"):
            continue
        net = create(name, 3, width=1 / 64, geometry=geometry).eval()
        answered = 0
        for size in [(1, 1), (1, 200), (2, 9), (7, 7), (9, 9), (10, 10), (17, 33), (37, 201)]:
            image, what = torch.randn(1, 3, *size), f"{name}, {geometry}, {size}"
            try:
                scores = net.score_map(image)
            except ValueError as error:
                words = f"an input of {size[0]}×{size[1]} is too small: nothing is left of it at pool"
                assert words in str(error), what
                continue
            assert scores.shape == (1, 3, *net.score_size(size)), what
            assert bool(torch.isfinite(scores).all()), what
            answered += 1
        assert answered >= (8 if geometry == "release" and name != "vgg16-20m" else 1), (name, geometry)


def test_a_huge_image_is_a_matter_of_arithmetic() -> None:
    with torch.device("meta"):
        net = create("deeplab-largefov", width=1 / 64, geometry="release").eval()
        assert net(torch.empty(1, 3, 4001, 8001)).shape == (1, 21, 501, 1001)
