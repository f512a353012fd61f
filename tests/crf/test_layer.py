"""The layer: its gradient is right, and it is a well-behaved module."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dlseg.crf import CRFLayer, CRFParams, DenseCRF
from dlseg.crf import layer as layer_module
from dlseg.crf.exact import ExactKernel
from dlseg.crf.lattice.inference import LatticeKernel
from dlseg.crf.lattice.unrolled import LatticePair, unrolled
from dlseg.crf.layer import KernelPair

NORMALIZATIONS = ["after", "symmetric", "before", "none"]
P = CRFParams(2, 8, 40, 1, 1.5, 3)


class ExactLayer(CRFLayer):
    """The same layer over exact kernels."""

    def _kernels(self, picture, extra, scores):
        kernel, filters = ExactKernel(picture, extra), []
        for f in kernel.features(self.params):
            left, right = kernel.scales(f, self.params.normalization)
            k = np.concatenate([rows for _, rows in kernel.blocks(f)])
            k = torch.from_numpy(left[:, None] * k * right).to(scores)
            filters.append(lambda field, k=k: k @ field)
        return KernelPair(filters)


def batch(scene, count=2, height=24, width=30, classes=4):
    """Images (B, H, W, 3) and logits (B, C, H, W), one seed each."""
    drawn = [scene(seed, height, width, classes) for seed in range(count)]
    images = torch.from_numpy(np.stack([image for image, _, _ in drawn]))
    logits = torch.from_numpy(np.log(np.stack([probs for _, _, probs in drawn])))
    return images, logits + 0.1 * torch.randn(logits.shape, generator=torch.Generator().manual_seed(0))


def lattices(image, p):
    return LatticePair(LatticeKernel(image.astype(np.float32), 2).filters(p), 2)


def gradients(layer, images, logits, towards):
    logits = logits.detach().clone().requires_grad_()
    layer.zero_grad()
    (layer(images, logits) * towards).sum().backward()
    return [logits.grad, *(p.grad.clone() for p in layer.parameters())]


def direction(shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("potts", [True, False])
def test_equals_the_inference(scene, alike, normalization, potts):
    images, logits = batch(scene)
    scale = 0.05 if normalization == "none" else 1
    p = CRFParams(2 * scale, 8, 40, scale, 1.5, 5, normalization)
    layer = CRFLayer(4, p)
    if not potts:
        with torch.no_grad():
            layer.compatibility += torch.rand(4, 4, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        got = layer(images, logits).numpy()
    for image, one, q in zip(images, logits, got, strict=True):
        crf = DenseCRF(image.numpy(), logits=one.numpy(), compatibility=layer.costs)
        agreement, difference = alike(crf.infer(layer.params), q)
        assert agreement >= 0.999 and difference <= 1e-4


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_gradcheck_over_exact_kernels(normalization):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    layer = ExactLayer(3, CRFParams(1.5, 3, 80, 0.7, 1.5, 3, normalization)).double()
    logits = torch.from_numpy(rng.normal(0, 1, (2, 3, 4, 5))).requires_grad_()
    extra = torch.from_numpy(rng.random((3, 3)))

    def run(logits, log_w1, log_w2, mu):
        return torch.func.functional_call(
            layer, {"log_w1": log_w1, "log_w2": log_w2, "compatibility": mu}, (images, logits)
        )

    inputs = (logits, layer.log_w1, layer.log_w2, (layer.compatibility + extra).detach().requires_grad_())
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)


def test_gradcheck_in_double_precision_over_the_lattice():
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (1, 4, 5, 3), dtype=np.uint8)
    layer = CRFLayer(3, P).double()
    logits = torch.from_numpy(rng.normal(0, 1, (1, 3, 4, 5))).requires_grad_()
    assert layer(images, logits).dtype == torch.float64
    assert torch.autograd.gradcheck(lambda x: layer(images, x), (logits,))


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("labels", [1, 8, 21])
def test_the_transposed_filter_is_the_transposed_matrix(scene, normalization, labels):
    image, _, _ = scene(3, 40, 50)
    pair = lattices(image, CRFParams(2, 10, 20, 1, 3, 3, normalization))
    x, y = direction((2000, labels), 1), direction((2000, labels), 2)
    for which in (0, 1):
        there = pair.filter(which, y)
        scale = float(x.norm() * there.norm())
        back = pair.filter(which, x, transpose=True)
        assert float((x.double() * there).sum()) == pytest.approx(
            float((back.double() * y).sum()), abs=1e-6 * scale
        )


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("classes", [2, 8, 21, 30])
@pytest.mark.parametrize("potts", [True, False])
def test_the_compiled_loops_are_the_unrolled_iterations(normalization, classes, potts):
    image = np.random.default_rng(0).integers(0, 256, (23, 31, 3), dtype=np.uint8)
    pair = lattices(image, CRFParams(2, 8, 60, 1, 2, 3, normalization))
    scale = 0.05 if normalization == "none" else 1
    scores = direction((classes, 23 * 31)).log_softmax(0).requires_grad_()
    weights = [torch.tensor(w * scale, requires_grad=True) for w in (2.0, 1.0)]
    mu = None if potts else direction((classes, classes), 4).requires_grad_()
    inputs, towards = [scores, *weights, *([] if potts else [mu])], direction((classes, 23 * 31), 5)
    fast = pair.mean_field(scores, *weights, mu, 4)
    slow = unrolled(scores.T, pair.kernels(), weights, mu, 4).T
    torch.testing.assert_close(fast, slow, atol=1e-6, rtol=1e-5)
    # sums over all pixels in single precision, of numbers of both signs
    for a, b in zip(
        torch.autograd.grad(fast, inputs, towards), torch.autograd.grad(slow, inputs, towards), strict=True
    ):
        torch.testing.assert_close(a, b, atol=1e-4 * float(b.abs().max()) + 1e-5, rtol=1e-4)


def test_gradients_are_those_in_double_precision(scene):
    images, logits = batch(scene)
    towards = direction(logits.shape)
    single = gradients(CRFLayer(4, P), images, logits, towards)
    double = gradients(CRFLayer(4, P).double(), images, logits.double(), towards.double())
    for a, b in zip(single, double, strict=True):  # torch's lattice is another one's rounding away
        assert float(F.cosine_similarity(a.double().ravel(), b.ravel(), 0)) > 0.9999
        assert float((a - b).norm() / b.norm()) < 2e-2


def test_a_small_step_changes_what_the_gradient_says(scene):
    images, logits = batch(scene)
    layer, towards = CRFLayer(4, P), direction(logits.shape)
    found = gradients(layer, images, logits, towards)

    def value(step, which):
        moved = copy.deepcopy(layer)
        x = logits + step * along[0] if which == 0 else logits
        with torch.no_grad():
            if which:
                list(moved.parameters())[which - 1].add_(step * along[which])
            return float((moved(images, x).double() * towards).sum())

    along = [direction(g.shape, 7 + which) if g.ndim else torch.tensor(1.0) for which, g in enumerate(found)]
    for which, (g, way) in enumerate(zip(found, along, strict=True)):
        slope = (value(1e-2, which) - value(-1e-2, which)) / 2e-2
        size = float(g.norm() * way.norm())
        assert float((g.double() * way).sum()) == pytest.approx(slope, abs=3e-3 * size)


def test_gradients_are_near_those_of_exact_kernels(scene):
    images, logits = batch(scene)
    near, exact = CRFLayer(4, P), ExactLayer(4, P)
    truth = torch.from_numpy(np.stack([scene(seed, 24, 30, 4)[1] for seed in range(2)]))

    def step(layer):
        x = logits.clone().requires_grad_()
        F.nll_loss(layer(images, x).clamp(min=1e-6).log(), truth).backward()
        return [x.grad, *(p.grad for p in layer.parameters())]

    for a, b in zip(step(near), step(exact), strict=True):
        assert float(F.cosine_similarity(a.ravel(), b.ravel(), 0)) > 0.99


def test_the_gradient_has_a_gradient(scene):
    images, logits = batch(scene, 1, 12, 14)

    def second(layer, x):
        x = x.detach().clone().requires_grad_()
        q = layer(images, x)
        inputs = [x, *layer.parameters()]
        first = torch.autograd.grad((q * direction(q.shape)).sum(), inputs, create_graph=True)
        return torch.autograd.grad(sum((g**2).sum() for g in first), inputs)

    for a, b in zip(second(CRFLayer(4, P), logits), second(CRFLayer(4, P).double(), logits.double()), strict=True):
        assert float(F.cosine_similarity(a.double().ravel(), b.ravel(), 0)) > 0.999


def test_a_batch_is_its_images(scene):
    images, logits = batch(scene, 3)
    layer, towards = CRFLayer(4, P), direction(logits.shape)
    whole = gradients(layer, images, logits, towards)
    each = [gradients(layer, images[i : i + 1], logits[i : i + 1], towards[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(whole[0], torch.cat([one[0] for one in each]))
    for number in (1, 2, 3):
        torch.testing.assert_close(whole[number], sum(one[number] for one in each), atol=1e-4, rtol=1e-4)


def test_channels_first_and_floating_images_are_the_same(scene):
    images, logits = batch(scene)
    layer = CRFLayer(4, P)
    q = layer(images, logits)
    for same in (images.permute(0, 3, 1, 2), images.float(), images.numpy(), images.to(torch.bfloat16)):
        assert same.shape[0] == 2
        torch.testing.assert_close(layer(same, logits), q)


def test_a_fixed_potts_compatibility_is_the_same(scene):
    images, logits = batch(scene)
    towards = direction(logits.shape)
    full = gradients(CRFLayer(4, P), images, logits, towards)
    layer = CRFLayer(4, P)
    layer.compatibility.requires_grad_(False)
    x = logits.clone().requires_grad_()
    (layer(images, x) * towards).sum().backward()
    for a, b in zip((x.grad, layer.log_w1.grad, layer.log_w2.grad), full, strict=False):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)
    assert layer.compatibility.grad is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bands_and_features(scene, alike, dtype):
    images, logits = batch(scene)
    depth = images[..., 2].double() / 100 - 7  # metres: sigma_beta of 40 is 0.4 of them
    whole, apart = CRFLayer(4, P), CRFLayer(4, P)
    with torch.no_grad():
        expected = whole(images, logits.to(dtype)).numpy()
        got = apart(images[..., :2], logits.to(dtype), features=[(depth, 0.4)]).numpy()
        grey = apart(images[..., :1], logits.to(dtype)).numpy()
    agreement, difference = alike(got[0], expected[0])
    assert agreement >= 0.999 and difference <= 1e-3
    one = DenseCRF(images[1, ..., 0].numpy(), logits=logits[1].numpy()).infer(P)
    agreement, difference = alike(grey[1], one)
    assert agreement >= 0.999 and difference <= 1e-3
    with pytest.raises(ValueError, match=r"^features\[0\]: got shape \(1, 24, 30\), expected \(2, 24, 30\) or"):
        apart(images, logits, features=[(depth[:1], 0.4)])
    with pytest.raises(TypeError, match=r"^features\[0\]: got Tensor, expected \(array, sigma\)"):
        apart(images, logits, features=[depth])


def test_lattices_are_built_once(scene, monkeypatch):
    images, logits = batch(scene, 3)
    built, real = [], layer_module.Lattice
    monkeypatch.setattr(layer_module, "Lattice", lambda *a: built.append(len(a[2])) or real(*a))
    layer = CRFLayer(4, P, kept=3)
    for _ in range(3):
        layer(images, logits).sum().backward()
    assert sorted(built) == [2, 5, 5, 5]
    layer(images[:1].flip(2), logits[:1])
    assert sorted(built) == [2, 5, 5, 5, 5]
    with torch.no_grad():
        layer.log_w1 += 1
    layer(images[:1].flip(2), logits[:1])
    assert len(built) == 5


def test_no_graph_is_kept_where_none_is_asked_for(scene):
    images, logits = batch(scene)
    layer = CRFLayer(4, P).eval()
    with torch.no_grad():
        assert layer(images, logits).grad_fn is None
    with torch.inference_mode():
        q = layer(images, logits)
    torch.testing.assert_close(q.clone(), layer(images, logits).detach())
    for p in layer.parameters():
        p.requires_grad_(False)
    assert layer(images, logits).grad_fn is None
    assert layer(images, logits.clone().requires_grad_()).grad_fn is not None


def test_autocast_computes_in_single_precision(scene):
    images, logits = batch(scene)
    layer = CRFLayer(4, P)
    x = logits.to(torch.bfloat16).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        q = layer(images, x)
    assert q.dtype == torch.float32
    torch.testing.assert_close(q, layer(images, x.float()))
    q.square().sum().backward()
    assert x.grad.dtype == torch.bfloat16 and layer.compatibility.grad.isfinite().all()


def test_copies_pickles_and_states(scene):
    images, logits = batch(scene)
    layer = CRFLayer(4, P)
    with torch.no_grad():
        layer.compatibility.add_(torch.rand(4, 4))
        layer.log_w1.add_(0.3)
    q = layer(images, logits)
    other = CRFLayer(4, P)
    other.load_state_dict(layer.state_dict())
    assert set(layer.state_dict()) == {"log_w1", "log_w2", "compatibility"}
    pickled = pickle.dumps(layer)
    assert len(pickled) < 10_000, "lattices stay behind"
    for same in (other, copy.deepcopy(layer), pickle.loads(pickled)):
        torch.testing.assert_close(same(images, logits), q)
        assert same.params == layer.params


def test_a_second_backward_is_torchs_own_error(scene):
    images, logits = batch(scene, 1)
    q = CRFLayer(4, P)(images, logits.requires_grad_())
    q.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        q.sum().backward()


def test_weights_and_compatibilities_are_learned(scene):
    images, logits = batch(scene, 3)
    truth = torch.from_numpy(np.stack([scene(seed, 24, 30, 4)[1] for seed in range(3)]))
    layer, losses = CRFLayer(4, CRFParams(1, 8, 40, 1, 1.5, 5)), []
    optimiser = torch.optim.Adam(layer.parameters(), 0.1)
    for _ in range(15):
        loss = F.nll_loss(layer(images, logits).clamp(min=1e-6).log(), truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    assert layer.params.w1 > 0 and layer.params.w2 > 0
    np.testing.assert_array_equal(layer.costs, layer.costs.T)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((1,), "num_classes: got 1, expected"),
        ((2.0,), "num_classes: got 2.0"),
        ((True,), "num_classes: got True"),
        ((3, CRFParams(w1=0)), "params: got w1 = 0, expected more than 0"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises((TypeError, ValueError), match=f"^{words}"):
        CRFLayer(*arguments)
    with pytest.raises(ValueError, match=r"^kept: got -1, expected"):
        CRFLayer(3, kept=-1)


IMAGES, LOGITS = torch.full((2, 6, 7, 3), 100), torch.zeros(2, 3, 6, 7)


@pytest.mark.parametrize(
    ("images", "logits", "words"),
    [
        (IMAGES, LOGITS[0], r"logits: got shape \(3, 6, 7\), expected \(B, 3, H, W\)"),
        (IMAGES, torch.zeros(2, 4, 6, 7), r"logits: got shape \(2, 4, 6, 7\), expected \(B, 3"),
        (IMAGES, LOGITS.long(), "logits: got torch.int64, expected a tensor of floating point"),
        (IMAGES, LOGITS.numpy(), "logits: got ndarray, expected a tensor"),
        (IMAGES, LOGITS / 0, "logits: got NaN or infinity"),
        (IMAGES, LOGITS.to("meta"), 'logits: got a tensor on "meta", a device without values'),
        (IMAGES.to("meta"), LOGITS, 'images: got a tensor on "meta", a device without values'),
        (IMAGES[:1], LOGITS, r"images: got shape \(1, 6, 7, 3\), expected \(2, 6, 7, 3\) or \(2, 3, 6, 7\)"),
        (IMAGES[:, :5], LOGITS, r"images: got shape \(2, 5, 7, 3\)"),
        (IMAGES - 150, LOGITS, "image: got values from -50"),
        (IMAGES / 255, LOGITS, "image: got values up to"),
    ],
)
def test_bad_inputs_are_named(images, logits, words):
    with pytest.raises((TypeError, ValueError), match=f"^{words}"):
        CRFLayer(3)(images, logits)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_on_a_gpu_the_same_answers(scene):
    images, logits = batch(scene)
    towards = direction(logits.shape)
    here = gradients(CRFLayer(4, P), images, logits, towards)
    there = gradients(CRFLayer(4, P).cuda(), images.cuda(), logits.cuda(), towards.cuda())
    for a, b in zip(here, there, strict=True):
        assert b.device.type == "cuda"
        assert float(F.cosine_similarity(a.ravel(), b.cpu().ravel(), 0)) > 0.999
