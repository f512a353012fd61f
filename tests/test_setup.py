"""The set-up says in one line what is wrong with a machine, and its files agree with one another."""

import json
import os
import re
import shutil
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

import dlseg

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def empty_checkout(repo: Path, tmp_path: Path) -> Path:
    """The set-up's files alone, with nothing installed."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(repo / name, tmp_path / name)
    return tmp_path


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


# what a `make test ARGS=…` around the tests hands down
OUTER = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "ARGS", "JOBS", "PORT", "PYTHON")


def make(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    outside = {k: v for k, v in os.environ.items() if k not in OUTER}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=outside | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@needs_make
def test_an_old_python_is_one_clear_line(empty_checkout: Path) -> None:
    old = program(empty_checkout / "python3.9", 'case "$1" in --version) echo "Python 3.9.1";; *) exit 1;; esac')
    result = make(empty_checkout, "test", f"PYTHON={old}")
    assert result.returncode != 0 and not (empty_checkout / ".venv").exists()
    assert len(result.stdout.splitlines()) == 1
    assert "dlseg needs Python 3.11, 3.12 or 3.13" in result.stdout and "Python 3.9.1" in result.stdout


@needs_make
def test_no_python_at_all(empty_checkout: Path) -> None:
    result = make(empty_checkout, "lab", "PYTHON=no-such-python")
    assert result.returncode != 0 and "dlseg needs Python 3.11" in result.stdout


@needs_make
def test_without_a_compiler_the_set_up_goes_on_and_says_so(empty_checkout: Path) -> None:
    program(empty_checkout / ".venv" / "bin" / "python", "exit 1")  # pydensecrf does not import
    result = make(empty_checkout, "pydensecrf", CXX="no-such-compiler")
    assert result.returncode == 0 and result.stdout.strip().startswith(
        "pydensecrf is left out: it needs a C++ compiler"
    )


@needs_make
def test_a_failed_build_goes_on_and_says_where_to_look(empty_checkout: Path) -> None:
    program(empty_checkout / ".venv" / "bin" / "python", "echo the compiler fell over; exit 1")
    result = make(empty_checkout, "pydensecrf", CXX="sh")
    assert result.returncode == 0 and ".venv/pydensecrf.log says why" in result.stdout
    assert "fell over" in (empty_checkout / ".venv" / "pydensecrf.log").read_text()


@needs_make
def test_an_interrupted_set_up_is_taken_up(empty_checkout: Path) -> None:
    log = empty_checkout / "calls"  # the environment is there, but not ready
    program(empty_checkout / ".venv" / "bin" / "python", f'echo "$@" >> {log}')
    assert make(empty_checkout, "setup").returncode == 0
    assert "install" in log.read_text() and (empty_checkout / ".venv" / "tests-are-ready").exists()
    log.unlink()
    again = make(empty_checkout, "setup")
    assert again.returncode == 0 and not log.exists()  # nothing is left to do


@needs_make
def test_the_lab_is_set_up_without_the_tests_packages(empty_checkout: Path) -> None:
    """One line for each stage; pytest and its like come with `make test` alone."""
    log, bin_ = empty_checkout / "calls", empty_checkout / ".venv" / "bin"
    program(bin_ / "python", f'echo "$@" >> {log}')
    program(bin_ / "jupyter", "echo the lab opens $*")
    result = make(empty_checkout, "lab")
    assert result.returncode == 0 and "the lab opens lab --port=8888 notebooks/00_tour.ipynb" in result.stdout
    stages = [line[:3] for line in result.stdout.splitlines() if line[1:3] == "/3"]
    assert stages == ["1/3", "2/3", "3/3"], result.stdout
    assert "-e .[lab]" in log.read_text() and "[dev]" not in log.read_text()
    assert make(empty_checkout, "test").returncode == 0
    assert (
        "-e .[dev]" in log.read_text()
        and "-m pytest -n 3 --dist loadgroup --no-loadscope-reorder -m not full" in log.read_text()
    )


@needs_make
def test_every_make_target_that_a_file_names_is_there(repo: Path) -> None:
    """In the workflow, the guides, the container and what the programs tell their users."""
    files = [
        "README.md",
        "CONTRIBUTING.md",
        ".ci/run",
        ".github/workflows/test.yml",
        ".devcontainer/devcontainer.json",
    ]
    files += [str(path.relative_to(repo)) for path in (repo / "docs").glob("*.md")]
    text = "".join((repo / name).read_text(encoding="utf-8") for name in files)
    targets = set(re.findall(r"^([a-z][a-z-]*):", (repo / "Makefile").read_text(encoding="utf-8"), re.M))
    named = set(re.findall(r"(?:^|run: |[`\"] *| {4})make ([a-z][a-z-]+)", text, re.M))
    assert {"lab", "test", "quick", "test-full", "lint"} <= named <= targets, named - targets


def test_the_workflow_is_whole(repo: Path) -> None:
    """Jobs with steps that run or use something, for every system and every Python that the metadata promise."""
    workflow = yaml.safe_load((repo / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    assert {"push", "pull_request", "schedule", "workflow_dispatch"} <= set(
        workflow[True]
    )  # YAML reads `on` as true
    jobs = workflow["jobs"]
    assert set(jobs) == {"lint", "unix", "windows", "conda", "wheel", "nightly"}
    for name, job in jobs.items():
        assert job["runs-on"] and job["steps"], name
        assert all(("uses" in step) != ("run" in step) for step in job["steps"]), name
        assert all("@" in step["uses"] for step in job["steps"] if "uses" in step), name
        used = set(re.findall(r"matrix\.(\w+)", str(job)))
        assert used == set(job.get("strategy", {}).get("matrix", {})), name
    pythons = tomllib.loads((repo / "pyproject.toml").read_text())["project"]["classifiers"]
    promised = [c.rpartition(" ")[2] for c in pythons if re.search(r":: 3\.\d+$", c)]
    for job in ("unix", "windows"):
        assert jobs[job]["strategy"]["matrix"]["python"] == promised
    assert jobs["unix"]["strategy"]["matrix"]["os"] == ["ubuntu-latest", "macos-14"]
    assert "make test-full" in [step.get("run") for step in jobs["nightly"]["steps"]]


def test_the_hooks_need_no_network(repo: Path) -> None:
    hooks = yaml.safe_load((repo / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert [part["repo"] for part in hooks] == ["local"]
    for hook in hooks[0]["hooks"]:
        assert hook["language"] == "system" and hook["entry"].startswith((".venv/bin/ruff ", ".venv/bin/dlseg "))


def test_the_citation_and_the_container_name_what_is_there(repo: Path) -> None:
    citation = yaml.safe_load((repo / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == dlseg.__version__ and citation["license"] == "MIT"
    assert f"dist/dlseg-{dlseg.__version__}-py3-none-any.whl" in (repo / "README.md").read_text(encoding="utf-8")
    container = json.loads((repo / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    for name in container["customizations"]["codespaces"]["openFiles"]:
        assert (repo / name).is_file()
    for form in sorted((repo / ".github" / "ISSUE_TEMPLATE").glob("*.yml")):
        body = yaml.safe_load(form.read_text(encoding="utf-8"))
        assert form.stem == "config" or (body["name"] and all(part["attributes"]["label"] for part in body["body"]))


def test_torch_is_pinned_and_so_is_every_direct_dependency(repo: Path) -> None:
    pins = dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)$", (repo / "constraints.txt").read_text(), re.M))
    pinned = {normal(name) for name in pins}
    project = tomllib.loads((repo / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(d for part in project["optional-dependencies"].values() for d in part)]
    names = {normal(re.split(r"[<>=\[;]", d)[0].strip()) for d in wanted} - {"dlseg"}
    assert pins["torch"] and not names - pinned, f"constraints.txt lacks {sorted(names - pinned)}"


def normal(name: str) -> str:
    return name.lower().replace("_", "-")


def test_conda_environment_holds_what_the_library_needs(repo: Path) -> None:
    text = (repo / "environment.yml").read_text()
    assert re.search(r"- python=3\.1[12]\b", text) and "pydensecrf" in text
    listed = {normal(n) for n in re.findall(r"^ +- ([A-Za-z0-9_.-]+)", text, re.M)}
    conda_names = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
    project = tomllib.loads((repo / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]["lab"]
    wanted = {re.split(r"[<>=]", d)[0] for d in [*project["dependencies"], *extras]}
    missing = {n for n in wanted if normal(conda_names.get(n, n)) not in listed}
    assert not missing, f"environment.yml lacks {sorted(missing)}"


def test_ci_runs_what_the_readme_says(repo: Path) -> None:
    readme, ci = (repo / "README.md").read_text(), (repo / ".ci" / "run").read_text()
    first_commands = [line.split("#")[0].strip() for line in readme.splitlines() if line.startswith("    ")][:2]
    assert first_commands == ["make lab", "make test"]
    assert re.search(r"^make test( |$)", ci, re.M) and "DLSEG_REQUIRE_BROWSER=1" in ci


def test_the_readmes_python_example_runs(repo: Path) -> None:
    code = re.search(r"```python\n(.*?)```", (repo / "README.md").read_text(), re.S)
    assert code is not None
    names: dict[str, object] = {}
    exec(code.group(1), names)
    assert names["prediction"].labels.shape == (128, 128)


def test_tests_of_a_group_share_a_process(request: pytest.FixtureRequest) -> None:
    """pytest-xdist 3.8 writes a test's group into its name, where pytest 9.2 does not look."""
    if "PYTEST_XDIST_WORKER" not in os.environ or request.config.getoption("loadgroup", default=None) is None:
        pytest.skip("tests run in one process")
    assert request.node.nodeid.endswith("@test_setup")
