"""An ablation is one folder: it goes on where it was, belongs to one plan, and prints Table 1's shape."""

import json
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from dlseg.cli import main
from dlseg.networks import open_weights
from dlseg.training import Recipe
from dlseg.training.ablation import Plan, Result, ablate, table1

RECIPE = Recipe(crop=66, batch=2, iterations=2, lr=0.01, batch_norm=True)


@pytest.fixture
def plan(small_set: Callable[[int], Path]) -> Plan:
    return Plan(
        data=str(small_set(3)),
        variants=("deeplab-largefov",),
        width=1 / 16,
        init="none",
        images=2,
        recipe=RECIPE,
        branch_recipe=RECIPE,
        seeds=(0, 1),
    )


def test_it_goes_on_where_it_was(plan: Plan, tmp_path: Path) -> None:
    begun: list[str] = []

    @contextmanager
    def watch(name: str, iterations: int) -> object:
        begun.append(name)

        def callback(step: object) -> None:
            if name == "deeplab-largefov, seed 1" and len(begun) == 3:
                raise KeyboardInterrupt

        yield callback

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        ablate(plan, out, watch)
    assert begun == ["deeplab-largefov, seed 0", "deeplab-msc-largefov, seed 0", "deeplab-largefov, seed 1"]
    results = ablate(plan, out, watch)
    assert begun[3:] == ["deeplab-largefov, seed 1", "deeplab-msc-largefov, seed 1"]
    assert ablate(plan, out, watch) == results and len(begun) == 5
    assert [(r.variant, r.seed) for r in results] == [
        ("deeplab-largefov", 0),
        ("deeplab-msc-largefov", 0),
        ("deeplab-largefov", 1),
        ("deeplab-msc-largefov", 1),
    ]
    plain, branched = (open_weights(out / f"{name}-seed0.safetensors")[0] for name in begun_names(begun))
    trunk = branched.main.state_dict()
    assert all(torch.equal(value, trunk[key]) for key, value in plain.state_dict().items())


def begun_names(begun: list[str]) -> list[str]:
    return [entry.partition(",")[0] for entry in begun[:2]]


def test_another_plan_needs_another_folder(plan: Plan, tmp_path: Path) -> None:
    small = replace(plan, seeds=(0,), multiscale=False, crf=None)
    results = ablate(small, tmp_path / "out")
    assert len(results) == 1 and results[0].crf is None
    with pytest.raises(ValueError, match=r"folder: .*out' holds what was made with other seeds, images; name "):
        ablate(replace(small, images=1, seeds=(1,)), tmp_path / "out")


@pytest.mark.usefixtures("as_users_see_it")
def test_plan_json_both_ways() -> None:
    for one in (Plan(), Plan.small(), Plan(crf=None, seeds=(3, 4))):
        assert Plan.from_json(one.to_json()) == one
    for text, message in [
        ('{"variant": ["deeplab"]}', "plan: unknown variant, expected .*; nearest: variants"),
        ('{"variants": ["deeplab-8x8"]}', "variants: got 'deeplab-8x8', expected .*; nearest: deeplab-"),
        ('{"variants": []}', "variants: got none, expected at least one"),
        ('{"images": 0}', "images: got 0, expected a whole number >= 1"),
        ('{"copy": "fc"}', "copy: got 'fc', expected 'conv' or 'all'"),
        ('{"recipe": {"lr": -1}}', "lr: got -1, expected more than 0; nearest: 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            Plan.from_json(text)


def test_table_1s_shape() -> None:
    def summary(share: float) -> dict[str, object]:
        return {"mean_iou": share, "trimap_mean_iou": {"1": share / 2, "3": share / 1.5}}

    results = [Result("deeplab", s, 1000, summary(0.5 + s / 100), summary(0.6 + s / 100)) for s in (0, 1)]
    lines = table1(results).splitlines()
    assert lines[0] == "| method | mean IOU | within 1 px | within 3 px | parameters | paper, VOC 2012 |"
    assert lines[2:] == [
        "| DeepLab | 50.50 ± 0.71 | 25.25 ± 0.35 | 33.67 ± 0.47 | 1,000 | 59.80 |",
        "| DeepLab-CRF | 60.50 ± 0.71 | 30.25 ± 0.35 | 40.33 ± 0.47 | 1,000 | 63.74 |",
    ]


def test_a_band_without_pixels_is_a_dash() -> None:
    summary = {"mean_iou": 0.5, "trimap_mean_iou": {"1": None, "3": 0.25}}
    assert table1([Result("deeplab", 0, 1000, summary, summary)]).splitlines()[2].split(" | ")[1:4] == [
        "50.00",
        "–",
        "25.00",
    ]


def test_the_command(plan: Plan, tmp_path: Path) -> None:
    def run(*args: object) -> str:
        result = CliRunner().invoke(main, ["ablate", *map(str, args)])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert Plan.from_json(run("small", "--show")) == Plan.small()
    (tmp_path / "plan.json").write_text(replace(plan, seeds=(0,)).to_json())
    table = run(tmp_path / "plan.json", "--out", tmp_path / "out")
    assert "DeepLab-MSc-CRF-LargeFOV" in table and (tmp_path / "out" / "table.md").read_text() == table
    found = json.loads(run(tmp_path / "plan.json", "--out", tmp_path / "out", "--json"))["results"]
    assert {r["variant"] for r in found} == {"deeplab-largefov", "deeplab-msc-largefov"}
    missing = CliRunner().invoke(main, ["ablate", "none.json"])
    assert missing.exit_code == 1 and "PLAN: got 'none.json', expected 'small', 'full' or" in missing.output
