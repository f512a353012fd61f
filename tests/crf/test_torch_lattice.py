"""The torch path: the compiled path's answers, and a gradient that is right."""

import numpy as np
import pytest
import torch

from dlseg.crf import Cancelled, CRFParams, DenseCRF, torch_lattice

NORMALIZATIONS = ["after", "symmetric", "before", "none"]


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("potts", [True, False])
def test_same_answers_as_the_compiled_path(scene, alike, normalization, potts):
    image, _, probs = scene(1, 50, 60, 4)
    scale = 0.05 if normalization == "none" else 1
    mu = None if potts else np.abs(np.subtract.outer(np.arange(4), np.arange(4))).astype(float)
    p = CRFParams(5 * scale, 20, 15, 3 * scale, 3, 10, normalization)
    plain = DenseCRF(image, probs=probs, compatibility=mu).infer(p)
    traced = DenseCRF(image, probs=torch.from_numpy(probs).requires_grad_(), compatibility=mu).infer(p)
    assert traced.requires_grad and traced.dtype == torch.float32
    agreement, difference = alike(plain, traced.detach().numpy())
    assert agreement >= 0.999 and difference <= 1e-4


def test_the_same_lattice(scene):
    image, _, _ = scene(2, 40, 50)
    kernel = torch_lattice.SparseKernel(torch.from_numpy(image.astype(np.float32)))
    kernel.filters(CRFParams(5, 20, 15))
    crf = DenseCRF(image, probs=np.full((2, 40, 50), 0.5, np.float32))
    compiled = crf._kernel.filters(CRFParams(5, 20, 15))
    field = np.random.default_rng(0).random(2000).astype(np.float32)
    for (_, lattice), compiled_filter in zip(kernel.kept.values(), compiled, strict=True):
        assert lattice.count == compiled_filter.lattice.points
        got = lattice.filter(torch.from_numpy(field)[:, None])[:, 0]
        np.testing.assert_allclose(
            got, compiled_filter.lattice.filter(field), rtol=1e-3
        )  # same keys, other rounding


@pytest.mark.parametrize("name", ["probs", "logits"])
@pytest.mark.parametrize("normalization", ["after", "symmetric"])
def test_gradient_by_finite_differences(name, normalization):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    p = CRFParams(2, 4, 60, 1, 1.5, 3, normalization)
    logits = torch.from_numpy(rng.normal(0, 1, (3, 5, 6))).requires_grad_()

    def run(x):
        return DenseCRF(image, **{name: x.softmax(0) if name == "probs" else x}).infer(p)

    assert run(logits).dtype == torch.float64
    assert torch.autograd.gradcheck(run, (logits,), atol=1e-5)


def test_a_unary_can_be_trained_through_the_crf(scene):
    image, truth, probs = scene(3, 30, 30, 3)
    logits = torch.from_numpy(np.log(probs)).requires_grad_()
    target, losses = torch.from_numpy(truth), []
    optimiser = torch.optim.SGD([logits], lr=300.0)
    for _ in range(5):
        q = DenseCRF(image, logits=logits).infer(CRFParams(2, 10, 15, 1, 2, 3))
        loss = torch.nn.functional.nll_loss(q.clamp(min=1e-6).log()[None], target[None])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_torch_in_torch_out_without_a_gradient(scene):
    image, _, probs = scene(4)
    got = DenseCRF(torch.from_numpy(image), probs=torch.from_numpy(probs)).infer(CRFParams())
    assert isinstance(got, torch.Tensor) and not got.requires_grad
    np.testing.assert_array_equal(got, DenseCRF(image, probs=probs).infer(CRFParams()))


def test_cancel_and_relax(scene):
    image, _, probs = scene(5)
    crf = DenseCRF(image, probs=torch.from_numpy(probs).requires_grad_())
    with pytest.raises(Cancelled):
        crf.infer(CRFParams(), cancel=lambda: True)
    one = CRFParams(iterations=1)
    plain = DenseCRF(image, probs=probs).infer(one, relax=0.5)
    np.testing.assert_allclose(crf.infer(one, relax=0.5).detach(), plain, atol=1e-4)


def test_every_inference_has_a_graph_of_its_own_from_what_the_unary_holds_then(scene):
    image, truth, probs = scene(6, 20, 20)
    logits = torch.from_numpy(np.log(probs)).requires_grad_()
    crf, p, losses = DenseCRF(image, logits=logits), CRFParams(2, 10, 15, 1, 2, 3), []
    optimiser = torch.optim.SGD([logits], lr=300.0)
    for _ in range(4):
        q = crf.infer(p)
        torch.testing.assert_close(q, DenseCRF(image, logits=logits.detach().clone().requires_grad_()).infer(p))
        loss = torch.nn.functional.nll_loss(q.clamp(min=1e-6).log()[None], torch.from_numpy(truth)[None])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0]
    with torch.no_grad():
        logits[:, 3, 4] = torch.nan
    with pytest.raises(ValueError, match=r"^logits: got NaN or infinity at 1 of 400 pixels"):
        crf.infer(p)


def test_without_a_graph_everything_reads_the_unary_anew(scene):
    image, _, probs = scene(7, 20, 20)
    logits = torch.from_numpy(np.log(probs)).requires_grad_()
    crf, p = DenseCRF(image, logits=logits), CRFParams(2, 10, 15, 1, 2, 3)
    with torch.no_grad():
        crf.preview(p)
        logits += torch.randn(logits.shape, generator=torch.Generator().manual_seed(0))
        fresh = DenseCRF(image, logits=logits.detach())
        np.testing.assert_allclose(crf.infer(p), fresh.infer(p), atol=1e-3)
        np.testing.assert_array_equal([*crf.steps(p)][-1].q, [*fresh.steps(p)][-1].q)
        np.testing.assert_array_equal(crf.preview(p), fresh.preview(p))
        assert crf.infer(p).grad_fn is None


@pytest.mark.parametrize("method", ["steps", "preview"])
def test_what_carries_no_gradient_says_so(scene, method):
    image, _, probs = scene(6, 20, 20)
    crf = DenseCRF(image, probs=torch.from_numpy(probs).requires_grad_())
    with pytest.raises(ValueError, match=f"^probs: got a tensor that requires a gradient, which {method} does not"):
        getattr(crf, method)(CRFParams())
    with torch.no_grad():
        assert getattr(crf, method)(CRFParams(iterations=2)) is not None
    assert crf.label(CRFParams()).shape == (20, 20)


@pytest.mark.parametrize("name", ["probs", "logits"])
def test_autocast_changes_nothing(scene, name):
    image, _, probs = scene(6, 20, 20)
    unary = torch.from_numpy(probs if name == "probs" else np.log(probs)).requires_grad_()
    mu = 1 - np.eye(3) + 0.1
    crf = DenseCRF(image, **{name: unary}, compatibility=mu)
    plain = crf.infer(CRFParams())
    with torch.autocast("cpu", torch.bfloat16):
        q = crf.infer(CRFParams())
        q.sum().backward()
    torch.testing.assert_close(q, plain)


@pytest.mark.parametrize("name", ["image", "probs", "logits", "labels"])
def test_tensors_without_values_are_refused(scene, name):
    image, truth, probs = scene(6, 20, 20)
    given = {"probs": probs, "logits": probs, "labels": truth}
    arguments = {"image": image, **({} if name == "image" else {name: given[name]})}
    arguments = {key: torch.from_numpy(value) for key, value in arguments.items()}
    arguments[name] = arguments[name].to("meta")
    if name == "image":
        arguments["probs"] = probs
    with pytest.raises(TypeError, match=f'^{name}: got a tensor on "meta", a device without values'):
        DenseCRF(**arguments)


@pytest.mark.parametrize("kernel", ["exact", "local", "pydensecrf"])
def test_only_the_lattice_is_differentiable(scene, kernel):
    image, _, probs = scene(6, 20, 20)
    with pytest.raises(ValueError, match=f'^probs: got a tensor that requires a gradient with kernel="{kernel}"'):
        DenseCRF(image, probs=torch.from_numpy(probs).requires_grad_(), kernel=kernel)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_on_a_gpu_the_same_answers(scene, alike):
    image, _, probs = scene(7, 100, 120, 5)
    got = DenseCRF(image, probs=torch.from_numpy(probs).cuda()).infer(CRFParams())
    assert got.device.type == "cuda"
    agreement, difference = alike(got.cpu().numpy(), DenseCRF(image, probs=probs).infer(CRFParams()))
    assert agreement >= 0.999 and difference <= 1e-4
