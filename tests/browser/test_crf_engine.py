"""The CRF in a web page, run in Chromium, gives what `DenseCRF.steps` gives."""

from __future__ import annotations

import base64
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dlseg.crf import CRFParams, DenseCRF

if TYPE_CHECKING:
    from playwright.sync_api import Page

from random_cases import Case, draw_case

RUN = """async ({source, image, probs, width, height, classes, params, pixel}) => {
  const url = URL.createObjectURL(new Blob([source], {type: "text/javascript"}));
  const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
  const text = array => btoa(Array.from(new Uint8Array(array.buffer), b => String.fromCharCode(b)).join(""));
  const {DenseCRF} = await import(url);
  const maps = new Float32Array(bytes(probs).buffer);
  const crf = new DenseCRF({image: bytes(image), width, height, probs: maps, classes});
  const found = crf.infer(params, {freeEnergy: true}), row = crf.affinity(params, ...pixel);
  return {q: text(found.q), labels: text(found.labels), freeEnergy: found.freeEnergy,
          appearance: text(row.appearance), smoothness: text(row.smoothness)};
}"""


@pytest.fixture(scope="module")
def source(repo: Path) -> str:
    return (repo / "dlseg" / "widgets" / "webpage" / "engine.js").read_text(encoding="utf-8")


def in_the_page(page: Page, source: str, case: Case, pixel: tuple[int, int]) -> dict[str, Any]:
    def text(array: np.ndarray) -> str:
        return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()

    classes, height, width = case.probs.shape
    found = page.evaluate(
        RUN,
        {
            "source": source,
            "image": text(case.image),
            "probs": text(case.probs.astype(np.float32)),
            "width": width,
            "height": height,
            "classes": classes,
            "params": asdict(case.params),
            "pixel": list(pixel),
        },
    )
    kinds = {"labels": np.uint8, "q": np.float32, "appearance": np.float32, "smoothness": np.float32}
    arrays = {name: np.frombuffer(base64.b64decode(found[name]), kind) for name, kind in kinds.items()}
    return {"freeEnergy": found["freeEnergy"], **arrays}


def test_the_page_agrees_with_the_library(page: Page, source: str) -> None:
    """Random cases of every kind of unary, image and normalisation; both work in single precision."""
    tried = 0
    for case in map(draw_case, range(66)):
        if case.relax != 1:
            continue
        tried += 1
        *_, last = DenseCRF(case.image, probs=case.probs).steps(case.params)
        found = in_the_page(page, source, case, (0, 0))
        q = np.asarray(last.q)
        distance = np.abs(found["q"].reshape(q.shape) - q).mean() * len(q) / 2
        assert distance <= 2e-4, f"{case.name}: marginals differ by {distance:.1e} on average"
        top, second = np.sort(q, axis=0)[-1], np.sort(q, axis=0)[-2]
        decided = top - second > 1e-4  # where two labels are even, the last digit chooses
        same = found["labels"].reshape(q.shape[1:]) == q.argmax(0)
        assert same[decided].mean() >= 0.999 if decided.any() else True, case.name
        assert found["freeEnergy"] == pytest.approx(last.free_energy, rel=1e-3, abs=0.5), case.name
    assert tried > 30


@pytest.mark.parametrize("normalization", ["after", "symmetric", "none"])
def test_affinity_is_the_librarys(page: Page, source: str, normalization: str) -> None:
    case = draw_case(3)
    params = CRFParams(5, 20, 12, 3, 2, 5, normalization)
    wanted = DenseCRF(case.image, probs=case.probs).affinity(params, 7, 9)
    found = in_the_page(page, source, case._replace(params=params), (7, 9))
    for name in ("appearance", "smoothness"):
        row = np.asarray(getattr(wanted, name))
        np.testing.assert_allclose(found[name].reshape(row.shape), row, rtol=1e-4, atol=1e-4 * row.max())


def test_a_sigma_too_small_for_the_page_is_refused(page: Page, source: str) -> None:
    case = draw_case(3)
    tiny = case._replace(params=CRFParams(5, 0.1, 0.1, 3, 2, 1))
    wide = tiny._replace(image=np.zeros((2, 4000, 3), np.uint8), probs=np.full((2, 2, 4000), 0.5, np.float32))
    wide.image[0, 0] = 255
    with pytest.raises(Exception, match="sigma_alpha, sigma_beta or sigma_gamma: too small"):
        in_the_page(page, source, wide, (0, 0))


PREVIEWS = """async ({ask, source, size}) => {
  const {startEngine} = new Function(`${ask}; return {startEngine};`)();
  const engine = startEngine(source), n = size * size, classes = 3;
  const image = Uint8Array.from({length: 3 * n}, (_, k) => (k * 37) % 251);
  const probs = Float32Array.from({length: classes * n}, (_, k) => 0.2 + 0.4 * ((k % classes) === 0));
  await engine.ask({kind: "image", problem: {image, width: size, height: size, probs, classes}});
  const gaussians = {w1: 5, sigma_alpha: 20, sigma_beta: 10, w2: 3, sigma_gamma: 3};
  const params = {...gaussians, iterations: 10, normalization: "after"};
  const widths = [];
  for (let k = 0; k < 4; k++) widths.push((await engine.ask({kind: "infer", params, preview: true})).width);
  widths.push((await engine.ask({kind: "infer", params, preview: false})).width);
  engine.end();
  return widths;
}"""


@pytest.mark.parametrize(
    ("slow", "size", "widths"),
    [
        ("60000", 40, [40, 40, 40, 40, 40]),
        ("-1", 40, [40, 40, 20, 20, 40]),
        ("60000", 240, [120, 120, 120, 120, 240]),
    ],
    ids=["fast machine", "slow machine", "large picture"],
)
def test_previews_become_smaller_where_the_machine_is_slow(
    page: Page, repo: Path, source: str, slow: str, size: int, widths: list[int]
) -> None:
    folder = repo / "dlseg" / "widgets" / "webpage"
    ask, worker = ((folder / name).read_text(encoding="utf-8") for name in ("ask.js", "worker.js"))
    assert "const SLOW = 60;" in worker
    both = source + worker.replace("const SLOW = 60;", f"const SLOW = {slow};")
    assert page.evaluate(PREVIEWS, {"ask": ask, "source": both, "size": size}) == widths
