"""The doctor looks and makes nothing; it names what is missing; its exit status says whether that matters."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from dlseg.cli import doctor, main
from dlseg.datasets import cache_folder


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["doctor", *args])
    return result.exit_code, result.output


def only(monkeypatch: pytest.MonkeyPatch, *found: doctor.Finding) -> None:
    monkeypatch.setattr(doctor, "CHECKS", tuple(lambda f=f: f for f in found))


def test_everything_needed_is_here() -> None:
    code, text = run()
    assert code == 0, text
    assert "MISSING" not in text and "OK       torch" in text and "validation images" in text


def test_json_says_the_same() -> None:
    code, text = run("--json")
    report = json.loads(text)
    assert code == 0 and report["ok"]
    names = {f["name"] for f in report["findings"]}
    assert {
        *("Python", "torch", "jupyterlab", "ipywidgets", "pydensecrf", "data", "weights", "train set"),
        *("VOC 2012", "VGG-16", "browser", "disk"),
    } <= names


def test_it_makes_nothing(tmp_path: Path) -> None:
    """Not even where data are missing: an empty home, an empty cache, an empty folder stay empty."""
    for name in ("home", "cache", "work"):
        (tmp_path / name).mkdir()
    places = {"HOME": str(tmp_path / "home"), "DLSEG_CACHE": str(tmp_path / "cache"), "DLSEG_VOC": ""}
    code = (
        "import sys; from pathlib import Path; import dlseg.datasets.paths as p; "
        "p.EMBEDDED = Path('nowhere'); from dlseg.cli import main; main(['doctor'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "work",
        env=os.environ | places,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1 and "MISSING  data" in done.stdout and "dlseg data make shapes" in done.stdout
    assert not [path for path in tmp_path.rglob("*") if path.is_file()], done.stdout


def test_what_is_not_here_yet_has_a_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DLSEG_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("DLSEG_VOC", raising=False)
    found = [doctor.train_set(), doctor.voc2012(), doctor.imagenet()]
    assert not any(f.ok or f.needed for f in found)
    assert re.search(r"not made yet; \d\d MB in ", found[0].detail)
    assert "2.0 GB" in found[1].detail and "0.55 GB" in found[2].detail
    assert not found[1].fix and not found[2].fix, "a large download is never made unasked"


def test_the_size_of_the_train_set_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimate, from the pictures that are here, against pictures of the train split itself."""
    from dlseg.datasets import shapes

    shapes.make(tmp_path / "s", train=40, val=1, jobs=1, progress=False)
    bytes_each = sum(p.stat().st_size for p in (tmp_path / "s").rglob("*_train_*.*")) / 40
    monkeypatch.setenv("DLSEG_CACHE", str(tmp_path))
    said = re.search(r"(\d+) MB", doctor.train_set().detail)
    assert said is not None and float(said[1]) == pytest.approx(bytes_each * 2240 / 1e6, rel=0.1)


def test_a_needed_package_that_does_not_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (lambda: doctor.package("no_such_package"),))
    code, text = run()
    assert code == 1 and "MISSING  no_such_package" in text and "pip install" in text


def test_an_optional_one_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    check = doctor.package("pydensecrf", "no_such_module", needed=False, cure="make pydensecrf")
    only(monkeypatch, check)
    code, text = run()
    assert code == 0 and "without  pydensecrf" in text and "make pydensecrf" in text


def test_the_lab_is_needed_in_a_checkout_and_an_extra_in_a_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.lab_package("no_such_package").needed
    monkeypatch.setattr(doctor, "PACKAGE", Path("/somewhere/site-packages/dlseg"))
    found = doctor.lab_package("no_such_package")
    assert not found.needed and found.cure == 'pip install "dlseg[lab]"'
    assert "-c" not in doctor.install("numpy"), "a wheel has no constraints.txt"
    assert doctor.pydensecrf().fix[-1:] in ((), ("pydensecrf2==1.1",))


def test_conda_installs_with_conda(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "conda-meta").mkdir()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("CONDA_EXE", "/opt/conda/bin/conda")
    assert doctor.install("numpy") == (
        *("/opt/conda/bin/conda", "install", "--yes", "--channel", "conda-forge", "numpy"),
    )
    assert doctor._adds_pydensecrf()[1][1:] == ("-m", "pip", "install", "pydensecrf2==1.1")


def test_missing_data_and_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("dlseg.networks.weights.WEIGHTS", tmp_path)
    assert not doctor.weights().ok and "deeplab-largefov of shapes, expected one of none" in doctor.weights().detail
    monkeypatch.setattr("dlseg.datasets.paths.EMBEDDED", tmp_path)
    monkeypatch.setenv("DLSEG_CACHE", str(tmp_path / "cache"))
    found = doctor.data()
    assert not found.ok and "no such folder" in found.detail and found.cure == "dlseg data make shapes"


def test_a_damaged_copy_of_the_data_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small_set) -> None:
    small_set(3).rename(tmp_path / "shapes")
    monkeypatch.setattr("dlseg.datasets.paths.EMBEDDED", tmp_path)
    monkeypatch.setenv("DLSEG_CACHE", str(tmp_path / "cache"))
    assert doctor.data().ok
    next((tmp_path / "shapes" / "JPEGImages").iterdir()).unlink()
    assert not doctor.data().ok and "1 files of split val are missing" in doctor.data().detail


@pytest.mark.skipif(os.name != "posix", reason="home folders are found in another way")
def test_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's user of a number that nobody has: what is made goes to the temporary folder."""
    import pwd

    def nobody(_: int) -> None:
        raise KeyError("uid not found")

    for name in ("HOME", "DLSEG_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert cache_folder().is_absolute() and cache_folder().name == "dlseg"
    assert doctor.disk().ok


def test_a_cache_that_cannot_be_written_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("DLSEG_CACHE", str(tmp_path / "file" / "cache"))
    found = doctor.disk()
    assert not found.ok and not found.needed and "set DLSEG_CACHE" in found.cure


def test_fix_runs_what_mends_and_looks_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    made = tmp_path / "made"
    touch = (sys.executable, "-c", f"open({str(made)!r}, 'w').close()")
    only(
        monkeypatch, doctor.Finding("thing", False, "gone", fix=touch), doctor.Finding("huge", False, "2 GB", False)
    )
    code, text = run("--fix")
    assert made.exists() and text.startswith("$ ") and text.count("$ ") == 1
    assert code == 0 and "OK       torch" in capfd.readouterr().out, "a new process has looked"


def test_fix_with_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, doctor.Finding("thing", True, "here"))
    assert run("--fix") == (0, "Nothing is left to fix.\n")
    only(monkeypatch, doctor.Finding("Python", False, "3.9.1", cure="use 3.11, 3.12 or 3.13"))
    code, text = run("--fix")
    assert code == 1 and "use 3.11" in text
    assert run("--fix", "--json")[0] == 2


def test_browser_is_found_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CHROMIUM", "/bin/sh")
    assert doctor.find_browser() == "/bin/sh"
    monkeypatch.delenv("CHROMIUM")
    assert doctor.find_browser() is None and not doctor.browser().needed
