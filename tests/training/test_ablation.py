"""An ablation is one folder: it goes on where it was, belongs to one plan, and prints Table 1's shape."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from subprocess import DEVNULL

import pytest
import torch
from click.testing import CliRunner

from dlseg.cli import main
from dlseg.crf import CRFParams, Space
from dlseg.crf.tuning.search import draw
from dlseg.datasets import load
from dlseg.networks import create, load_trunk, open_weights
from dlseg.networks.transfer import decimated_for
from dlseg.training import Recipe
from dlseg.training.ablation import Plan, Pretraining, Result, ablate, report, table1

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
    papers = [Plan.paper(), Plan.paper("tools", 500, pretraining=Pretraining(epochs=3))]
    for one in (Plan(), Plan.small(), Plan(crf=None, seeds=(3, 4)), *papers):
        assert Plan.from_json(one.to_json()) == one
    for text, message in [
        ('{"variant": ["deeplab"]}', "plan: unknown variant, expected .*; nearest: variants"),
        ('{"variants": ["deeplab-8x8"]}', "variants: got 'deeplab-8x8', expected .*; nearest: deeplab-"),
        ('{"variants": []}', "variants: got none, expected at least one"),
        ('{"images": 0}', "images: got 0, expected a whole number >= 1"),
        ('{"search_images": 0}', "search_images: got 0, expected a whole number >= 1"),
        ('{"pretraining": {"image": 3}}', "pretraining: unknown image, expected .*; nearest: images"),
        ('{"pretraining": {"epochs": 0}}', "epochs: got 0, expected a whole number >= 1"),
        ('{"search": {"w1": []}}', "w1: got"),
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
        "| DeepLab | 50.50 ± 0.50 | 25.25 ± 0.25 | 33.67 ± 0.33 | 1,000 | 59.80 |",
        "| DeepLab-CRF | 60.50 ± 0.50 | 30.25 ± 0.25 | 40.33 ± 0.33 | 1,000 | 63.74 |",
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
    assert "Table 2" in table
    assert "DeepLab-MSc-CRF-LargeFOV" in table and (tmp_path / "out" / "table.md").read_text() == table
    found = json.loads(run(tmp_path / "plan.json", "--out", tmp_path / "out", "--json"))["results"]
    assert {r["variant"] for r in found} == {"deeplab-largefov", "deeplab-msc-largefov"}
    missing = CliRunner().invoke(main, ["ablate", "none.json"])
    assert missing.exit_code == 1
    assert "PLAN: got 'none.json', expected 'small', 'full', 'paper' or a JSON file" in missing.output
    assert Plan.from_json(run("paper", "--show")) == Plan.paper("tools", 321)
    assert Plan.from_json(run("paper", "--show", "--precision", "bfloat16")).branch_recipe.precision == "bfloat16"
    papers = Plan.from_json(run("paper", "--show", "--data", plan.data))
    assert papers == Plan.paper(plan.data, 128) and papers.recipe.crop == 130


@pytest.fixture
def path(small_set: Callable[[int], Path]) -> Plan:
    """The paper's path with the narrowest networks, a few pictures and a few iterations."""
    return Plan.paper(
        str(small_set(7)),
        128,
        singles="shapes",
        variants=("deeplab-largefov", "deeplab-alexnet"),
        width=1 / 64,
        seeds=(0, 1),
        pretraining=Pretraining(images=12, unseen=4, epochs=2, batch=4),
        recipe=RECIPE,
        branch_recipe=RECIPE,
        search=Space(w1=(5.0,), sigma_alpha=(20.0, 40.0), sigma_beta=(10.0,), halvings=0, moves=1, iterations=2),
        search_images=3,
    )


def test_the_papers_path(path: Plan, tmp_path: Path) -> None:
    """From fully connected layers to the CRF's parameters: every step begins where the last one ended."""
    out = tmp_path / "out"
    results = ablate(path, out, jobs=1)
    names = ["deeplab-largefov", "deeplab-msc-largefov", "deeplab-alexnet"]
    assert [(r.variant, r.seed) for r in results] == [(name, seed) for seed in (0, 1) for name in names]
    vgg, info = open_weights(out / "vgg16-seed0.safetensors")
    assert vgg.fc6.weight.shape == (64, 8 * 49) and 0 <= info["accuracy"] <= 1
    assert not (out / "vgg16-seed1.safetensors").exists()  # one for all seeds, as in the paper
    begun = create("deeplab-largefov", 13, 1 / 64)
    done = load_trunk(begun, decimated_for(begun, vgg.state_dict()), same_classes=False)
    assert done.new == ("fc8",)
    small = vgg.fc6.weight.reshape(64, 8, 7, 7)[::4, :, ::3, ::3]
    assert torch.equal(begun.fc6.weight, small)
    branched = open_weights(out / "deeplab-msc-largefov-seed1.safetensors")[0].main.state_dict()
    plain = open_weights(out / "deeplab-largefov-seed1.safetensors")[0].state_dict()
    assert all(torch.equal(value, branched[key]) for key, value in plain.items())
    for result in results:
        params = CRFParams.from_json((out / f"{result.variant}.crf.json").read_text())
        assert params.sigma_alpha in (20.0, 40.0, 60.0) and result.params == asdict(
            params
        )  # one step out of the box
        assert result.crf is not None and result.speed is not None
    searched = draw(7, 3, 10)
    assert {p.stem for p in (out / "score-maps" / names[0]).iterdir()} == {
        load(path.data, "val").names[i] for i in searched
    }
    text = report(path, results)
    assert "| DeepLab-CRF-LargeFOV | 3×3 | 12 | 224 | 404 |" in text and "DeepLab-CRF-AlexNet" in text
    assert "searched on 3 other pictures with the network of seed 0" in text and "standard error of 2 seeds" in text
    with pytest.raises(ValueError, match="search_images: got 7, expected fewer than the 7 pictures of val"):
        ablate(replace(path, search_images=7), tmp_path / "other")
    with pytest.raises(
        ValueError, match=r"singles: got .*, expected a data set that makes pictures of single things"
    ):
        ablate(replace(path, singles=""), tmp_path / "third")


def test_networks_are_passed_on(path: Plan, tmp_path: Path) -> None:
    """In bfloat16 from the first picture on; what is exported says what was measured, and gives the same scores."""
    plan = replace(path, variants=("deeplab-largefov",), seeds=(3,)).in_precision("bfloat16")
    (tmp_path / "plan.json").write_text(plan.to_json())
    args = ["ablate", tmp_path / "plan.json", "--out", tmp_path / "out", "--export", tmp_path / "to", "--jobs", 1]
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == 0, result.output
    name = Path(path.data).name
    wanted = {f"{variant}-{name}" for variant in ("vgg16", "deeplab-largefov", "deeplab-msc-largefov")}
    assert {file.stem for file in (tmp_path / "to").iterdir()} == wanted
    net, info = open_weights(tmp_path / "to" / f"deeplab-largefov-{name}.safetensors")
    full, _ = open_weights(tmp_path / "out" / "deeplab-largefov-seed3.safetensors")
    x = 50 * torch.randn(1, 3, 130, 130)
    torch.testing.assert_close(net.eval()(x), full.eval()(x), rtol=0.02, atol=0.02)
    measured = json.loads((tmp_path / "out" / "deeplab-largefov-seed3.scores.json").read_text())
    assert (info["data"], info["seed"], info["mean_iou"]) == (name, 3, measured["net"]["mean_iou"])
    searched = {file.stem for file in (tmp_path / "out" / "score-maps" / "deeplab-largefov").iterdir()}
    assert set(info["measured_on"]) == set(load(path.data, "val").names) - searched
    assert info["crf"] == measured["params"] and info["recipe"]["precision"] == "bfloat16"
    assert Pretraining(**open_weights(tmp_path / "to" / f"vgg16-{name}.safetensors")[1]["pretraining"]) == (
        replace(path.pretraining, precision="bfloat16")
    )


def test_each_seed_may_have_its_own_classifier(path: Plan, tmp_path: Path) -> None:
    own = replace(path.pretraining, each_seed=True)
    one = replace(path, variants=("deeplab-largefov",), multiscale=False, pretraining=own, search=None)
    results = ablate(one, tmp_path / "out", jobs=1)
    assert all(result.crf is None for result in results)
    first, second = (open_weights(tmp_path / "out" / f"vgg16-seed{seed}.safetensors")[0] for seed in (0, 1))
    assert not torch.equal(first.fc8.weight, second.fc8.weight)


def test_a_first_lesson_comes_before_the_whole_things(path: Plan, tmp_path: Path) -> None:
    """At a rate of almost nothing, the filters are the lesson's but for the normalisation folded in."""
    taught = replace(path.pretraining, lesson="shapes", lesson_epochs=1, lr=1e-9)
    ablate(replace(path, multiscale=False, seeds=(0,), pretraining=taught, search=None), tmp_path / "out", jobs=1)
    for lesson, whole in (("vgg16-20m-lesson", "vgg16"), ("alexnet-lesson", "alexnet")):
        easier, net = (open_weights(tmp_path / "out" / f"{name}-seed0.safetensors")[0] for name in (lesson, whole))
        assert easier.spec.num_classes == net.spec.num_classes == 12
        for key, theirs in easier.state_dict().items():
            if key.startswith("conv") and key.endswith("weight"):
                ours = net.state_dict()[key]
                alike = torch.nn.functional.cosine_similarity(ours.flatten(1), theirs.flatten(1))
                assert alike.min() > 0.9999, key


def test_pictures_without_labels_are_refused_before_hours_of_training(path: Plan, tmp_path: Path) -> None:
    for label in (Path(path.data) / "SegmentationClass").iterdir():
        label.unlink()
    with pytest.raises((ValueError, FileNotFoundError), match="label"):
        ablate(path, tmp_path / "out", jobs=1)
    assert not list((tmp_path / "out").glob("*.safetensors"))


def comparable(results: list[Result]) -> list[Result]:
    return [replace(result, speed=None) for result in results]


def test_a_kill_before_or_after_any_file_is_written_loses_nothing(
    path: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One folder, one kill around every file that is put in its place; the end is that of an undisturbed run."""
    plan = replace(path, seeds=(0,))
    expected = ablate(plan, tmp_path / "whole", jobs=1)
    real, survived = Path.replace, set[tuple[str, str]]()

    class Killed(BaseException):
        pass

    def kill_once(moment: str, name: str) -> None:
        if (moment, name) not in survived:
            survived.add((moment, name))
            raise Killed

    def dangerous(self: Path, target: Path) -> Path:
        kill_once("before", target.name)
        moved = real(self, target)
        kill_once("after", target.name)
        return moved

    kills = 0
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dangerous)
        for _ in range(200):
            try:
                found = ablate(plan, tmp_path / "killed", jobs=1)
                break
            except Killed:
                kills += 1
    assert kills > 2 * 10 and comparable(found) == comparable(expected)
    for weights in (tmp_path / "whole").glob("*.safetensors"):
        assert weights.read_bytes() == (tmp_path / "killed" / weights.name).read_bytes()
    assert {p.name for p in (tmp_path / "whole").iterdir()} == {p.name for p in (tmp_path / "killed").iterdir()}


@pytest.mark.slow
def test_sigkill_goes_on_where_it_was(path: Plan, tmp_path: Path) -> None:
    """A process killed after its classifier, and another one after its first network; the third comes through."""
    plan = replace(path, seeds=(0,), variants=("deeplab-largefov",))
    expected = ablate(plan, tmp_path / "whole", jobs=1)
    (tmp_path / "plan.json").write_text(plan.to_json())
    command = [sys.executable, "-m", "dlseg", "ablate", tmp_path / "plan.json", "--out", tmp_path / "killed"]

    def start() -> subprocess.Popen:
        return subprocess.Popen(
            [*map(str, command), "--jobs", "1", "--threads", "1"], stdout=DEVNULL, stderr=DEVNULL
        )

    for moment in ("vgg16-seed0.json", "deeplab-largefov-seed0.json"):
        process = start()
        while process.poll() is None and not (tmp_path / "killed" / moment).exists():
            time.sleep(0.01)
        process.kill()
        process.wait()
    assert start().wait() == 0
    found = json.loads((tmp_path / "killed" / "results.json").read_text())["results"]
    assert comparable([Result(**document) for document in found]) == comparable(expected)
