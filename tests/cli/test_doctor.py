"""The doctor names what is missing, and its exit status says whether that matters."""

import json

import pytest
from click.testing import CliRunner

from dlseg.cli import doctor, main


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["doctor", *args])
    return result.exit_code, result.output


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
        "Python",
        "torch",
        "jupyterlab",
        "ipywidgets",
        "pydensecrf",
        "data",
        "weights",
        "browser",
        "disk",
    } <= names


def test_a_needed_package_that_does_not_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (lambda: doctor.package("no_such_package"),))
    code, text = run()
    assert code == 1 and "MISSING  no_such_package" in text and "pip install" in text


def test_an_optional_one_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    check = doctor.package("pydensecrf", "no_such_module", needed=False, cure="make pydensecrf")
    monkeypatch.setattr(doctor, "CHECKS", (lambda: check,))
    code, text = run()
    assert code == 0 and "without  pydensecrf" in text and "make pydensecrf" in text


def test_missing_data_and_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr("dlseg.networks.weights.WEIGHTS", tmp_path)
    assert not doctor.weights().ok and "no file" in doctor.weights().detail
    monkeypatch.setattr("dlseg.datasets.load", lambda *_: (_ for _ in ()).throw(FileNotFoundError("gone")))
    assert doctor.data() == doctor.Finding("data", False, "gone", cure="dlseg data make shapes")


def test_browser_is_found_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CHROMIUM", "/bin/sh")
    assert doctor.find_browser() == "/bin/sh"
    monkeypatch.delenv("CHROMIUM")
    assert doctor.find_browser() is None and not doctor.browser().needed
