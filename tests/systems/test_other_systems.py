"""dlseg where Unix's modules and calls are not: every import, the course's checks, the explorers, the commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module", params=["win32", "darwin"])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a person meets there, in a folder whose name has blanks and letters outside ASCII."""
    folder = tmp_path_factory.mktemp("Prüf Ordner 日本")
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", str(HERE / "tour.py"), request.param, str(folder)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer | {"system": request.param, "warnings": done.stderr}


def test_every_module_but_the_sandboxs_can_be_imported(found: dict[str, Any]) -> None:
    assert found["imports"] == {}


def test_an_exercise_of_each_notebook_is_found_right(found: dict[str, Any]) -> None:
    topics = {"pooling", "atrous", "receptive_field", "training", "crf", "capstone"}
    assert found["checks"] == dict.fromkeys(topics, "passed")


def test_the_explorers_draw_their_stills(found: dict[str, Any]) -> None:
    assert found["stills"] and all(found["stills"].values())


def test_the_commands_work_with_any_path_and_line_end(found: dict[str, Any]) -> None:
    assert found["tune"][0] == "served" and "exit" not in found["tune"][1]
    assert "no fault" in found["check"] and "train 4, val 4" in found["check"]
    for name in ("predict", "train", "evaluate", "search"):
        assert not found[name].startswith("exit"), found[name]
    made = {"Bäume am Fluß 東京_labels.png", "läufe/netz.safetensors", "bestes.json"}
    assert made <= set(found["files"])


def test_settings_with_windows_line_ends_are_read(found: dict[str, Any]) -> None:
    assert not found["own settings"].startswith("exit") and "mit eigenen.png" in found["files"]


def test_the_notebooks_can_be_had_and_the_doctor_is_content(found: dict[str, Any]) -> None:
    assert found["copy"].count("wrote ") == 7 and "nothing to do" in found["copy again"]
    assert "mein Kurs 図/05_crf.ipynb" in found["files"]
    assert "All that is needed is here." in found["doctor"] and "MISSING" not in found["doctor"]


def test_grading_without_a_sandbox_is_one_sentence(found: dict[str, Any]) -> None:
    if found["system"] == "win32":
        last = found["grade"].strip().splitlines()[-1]
        assert last.startswith("Error: isolation: this system has no sandbox") and "Linux container" in last
    else:  # the pretended Mac is a Linux machine: what it has of locks depends on its kernel
        assert "Traceback" not in found["grade"]


def test_no_text_is_read_or_written_in_the_systems_own_encoding(found: dict[str, Any], repo: Path) -> None:
    ours = [
        line for line in found["warnings"].splitlines() if "EncodingWarning" in line and f"{repo}/dlseg" in line
    ]
    assert not ours, "\n".join(ours)


@pytest.mark.parametrize("encoding", ["cp437", "ascii"])
def test_a_terminal_without_our_letters_costs_no_command(encoding: str, tmp_path: Path, repo: Path) -> None:
    picture = next((repo / "data" / "shapes" / "JPEGImages").glob("*.jpg"))
    (tmp_path / "σ 東京.jpg").write_bytes(picture.read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "dlseg", "predict", "σ 東京.jpg"],
        env=os.environ | {"PYTHONIOENCODING": encoding, "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0 and b"_labels.png: background" in done.stdout, done.stderr
    assert (tmp_path / "σ 東京_labels.png").is_file()


@pytest.mark.skipif(os.name != "posix", reason="sends a process Ctrl-C's signal")
def test_a_suite_that_was_started_in_the_background_still_interrupts_its_children(repo: Path) -> None:
    """`nohup make test &` starts with SIGINT ignored, which children inherit: they could not be interrupted."""
    one = "tests/cli/test_data.py::test_control_c_leaves_nothing_that_looks_whole"
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", one]
    done = subprocess.run(
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *pytest_],
        cwd=repo,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout
