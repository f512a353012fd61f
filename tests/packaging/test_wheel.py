"""The wheel is whole: it holds what the commands and the notebooks need, and works where nothing else is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import nbformat
import pytest

import dlseg

NOTEBOOKS = ("00_tour", "01_pooling", "02_atrous", "03_receptive_field", "04_training", "05_crf", "06_capstone")
# the sandbox of this machine's package index, where pip is told of one, and how Python is found; nothing else
KEPT = ("PATH", "LANG", "LD_LIBRARY_PATH", "SYSTEMROOT", "SSL_CERT_FILE", "CHROMIUM")


def build(kind: str, source: Path, out: Path) -> Path:
    """An sdist or a wheel of `source`, made by the build backend itself: nothing is fetched."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = out.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Path:
    return build("wheel", repo, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Path:
    return build("sdist", repo, tmp_path_factory.mktemp("sdist"))


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_all_that_comes_with_dlseg_is_in_the_wheel(wheel: Path, repo: Path) -> None:
    """Data and notebooks as they lie in the checkout, every file of the package, nothing made there."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=repo, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    tracked = {name for name in listed.stdout.decode().split("\0") if (repo / name).is_file()}
    expected = {
        name if name.startswith("dlseg/") else f"dlseg/shipped/{name}": (repo / name).read_bytes()
        for name in tracked
        if name.startswith(("dlseg/", "data/")) or (name.startswith("notebooks/") and name.count("/") == 1)
    }
    found = {name: body for name, body in contents(wheel).items() if ".dist-info/" not in name}
    untracked = found.keys() - expected.keys()
    assert expected.keys() <= found.keys(), sorted(expected.keys() - found.keys())[:10]
    assert not [name for name in untracked if "__pycache__" in name or not name.endswith((".py", ".js", ".css"))]
    assert [name for name, body in expected.items() if found[name] != body] == []
    # 9 MB of it are the scenes of data/tools, 15 the networks of every method of Tables 1 and 2
    assert wheel.stat().st_size < 35_000_000


def test_the_metadata_say_what_it_is(wheel: Path, repo: Path) -> None:
    files = contents(wheel)
    (metadata,) = (body.decode() for name, body in files.items() if name.endswith(".dist-info/METADATA"))
    for line in (f"Version: {dlseg.__version__}", "Requires-Python: >=3.11", "License-Expression: MIT"):
        assert f"\n{line}\n" in metadata
    for field in ("Project-URL: ", "Keywords: ", "Classifier: Programming Language :: Python :: 3.13"):
        assert f"\n{field}" in metadata
    assert "dlseg/py.typed" in files and any(name.endswith("licenses/LICENSE") for name in files)
    assert f"[{dlseg.__version__}]" in (repo / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_sdist_builds_the_same_wheel(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    assert {"tests", "docs", "benchmarks", "Makefile", "constraints.txt"} <= {p.name for p in source.iterdir()}
    again = build("wheel", source, tmp_path / "dist")
    assert again.name == wheel.name and again.read_bytes() == wheel.read_bytes()


class Place:
    """An empty folder and an empty home; what runs there finds dlseg by `path` alone and cannot reach a network."""

    def __init__(self, root: Path, python: Path, path: Path | None = None) -> None:
        self.folder, self.home, self.python = root / "work", root / "home", python
        self.folder.mkdir(parents=True)
        self.home.mkdir()
        closed = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
        self.environment = {
            **{name: os.environ[name] for name in KEPT if name in os.environ},
            **closed,
            **{"HOME": str(self.home), "USERPROFILE": str(self.home), "OMP_NUM_THREADS": "1"},
            **({"PYTHONPATH": str(path)} if path else {}),
        }

    def run(self, *words: str, seconds: float = 600) -> subprocess.CompletedProcess[str]:
        command = [str(self.python), "-m", *words]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def made_at_home(self) -> list[str]:
        return [str(path.relative_to(self.home)) for path in self.home.rglob("*") if path.is_file()]


def use(place: Place, notebook: str) -> None:
    """What a newcomer does there: look, label a picture, open a notebook."""
    where = place.run("site")  # a Python that starts at all
    assert where.returncode == 0, where.stderr
    doctor = place.run("dlseg", "doctor", "--json")
    report = json.loads(doctor.stdout)
    assert doctor.returncode == 0 and report["ok"], doctor.stdout
    details = {f["name"]: f["detail"] for f in report["findings"]}
    assert "shipped" in details["data"] and "mean IoU" in details["weights"]
    assert place.made_at_home() == [] and list(place.folder.iterdir()) == []

    asked = "import dlseg.common.shipped as s; print(s.shipped('data'))"
    data = Path(subprocess.run([str(place.python), "-c", asked], env=place.environment, cwd=place.folder,
                               capture_output=True, text=True, check=True).stdout.strip())  # fmt: skip
    picture = sorted((data / "shapes" / "JPEGImages").glob("shapes_val_*.jpg"))[0]
    (place.folder / "a picture.jpg").write_bytes(picture.read_bytes())
    done = place.run("dlseg", "predict", "a picture.jpg", "--crf")
    assert done.returncode == 0 and "a picture_labels.png: background" in done.stdout, done.stderr
    made = {path.name for path in place.folder.iterdir()}
    assert made == {"a picture.jpg", "a picture_labels.png"}
    assert [name for name in place.made_at_home() if name.endswith((".jpg", ".png"))] == [], "no data set is made"

    copied = place.run("dlseg", "course", "copy", "my course")
    assert copied.returncode == 0 and copied.stdout.count("wrote ") == len(NOTEBOOKS), copied.stderr
    own = place.folder / "my course" / f"{notebook}.ipynb"
    ran = place.run("jupyter", "execute", "--timeout=900", "--output=ran", str(own), seconds=1200)
    assert ran.returncode == 0, ran.stderr
    outputs = [o for c in nbformat.read(own.with_name("ran.ipynb"), 4).cells for o in c.get("outputs", ())]
    assert outputs and not [o for o in outputs if o.output_type == "error"]


def test_its_files_alone_are_enough(wheel: Path, tmp_path: Path) -> None:
    """Unpacked, in front of this environment's packages: no checkout, no home, no network."""
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    use(Place(tmp_path / "place", Path(sys.executable), site), "00_tour")


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_installed_in_an_empty_environment(wheel: Path, tmp_path: Path, repo: Path) -> None:
    """`pip install dist/*.whl` and nothing else; then the lab's packages, for the notebook."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = [str(python), "-m", "pip", "install", "-q", "-c", str(repo / "constraints.txt")]
    subprocess.run([*install, str(wheel)], cwd=tmp_path, check=True, timeout=1200)
    library = Place(tmp_path / "library", python)
    doctor = library.run("dlseg", "doctor")
    assert doctor.returncode == 0 and "without  jupyterlab" in doctor.stdout, doctor.stdout
    copied = library.run("dlseg", "course", "copy", "course")
    assert copied.returncode == 0, copied.stderr
    subprocess.run([*install, f"{wheel}[lab]"], cwd=tmp_path, check=True, timeout=1200)
    use(Place(tmp_path / "lab", python), "02_atrous")


def test_copied_notebooks_stay_the_students_own(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from dlseg.cli import main

    place = tmp_path / "mein Kurs 東京"
    copy = ["course", "copy", str(place)]
    assert CliRunner().invoke(main, copy).output.count("wrote ") == len(NOTEBOOKS)
    assert sorted(path.name for path in place.iterdir()) == [f"{name}.ipynb" for name in NOTEBOOKS]
    (place / "02_atrous.ipynb").write_text("my work", encoding="utf-8")
    (place / "05_crf.ipynb").unlink()
    again = CliRunner().invoke(main, copy)
    assert again.exit_code == 0 and again.output.count("wrote ") == 1 and again.output.count("kept ") == 1
    assert (place / "02_atrous.ipynb").read_text(encoding="utf-8") == "my work"
    assert (place / "05_crf.ipynb").is_file()
    (tmp_path / "file").write_text("", encoding="utf-8")
    refused = CliRunner().invoke(main, ["course", "copy", str(tmp_path / "file")])
    assert refused.exit_code == 1 and "is a file; name another place" in refused.output
