"""Ready-made autograders: a zip for Gradescope and a workflow for GitHub Classroom, both running `dlseg grade`."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import dlseg
from dlseg.grading import batch, exercise, result

PACKAGE = Path(dlseg.__file__).parent
EPOCH = (1980, 1, 1, 0, 0, 0)
SETUP = """#!/usr/bin/env bash
set -e
cd "${AUTOGRADER:-/autograder}/source"
python3 -m pip install --no-input -c constraints.txt .
"""
# a result is there from the first moment, so that a run cut short still says something
RUN = """#!/usr/bin/env bash
root="${AUTOGRADER:-/autograder}"
mkdir -p "$root/results"
cp "$root/source/unfinished.json" "$root/results/results.json"
cd "$root/source"
exec "${PYTHON:-python3}" -m dlseg.grading.platforms "$root/submission" "$root/source/exercises" "$root/results"
"""
NOT_FINISHED = "The autograder did not finish: this is not your fault. Please tell your teacher."
WORKFLOW = """name: Autograding
on: [push, workflow_dispatch]
permissions: {contents: read, checks: write, actions: read}
jobs:
  grade:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "3.12"}
      - run: python -m pip install -c constraints.txt .
      - id: dlseg
        run: |
          python -m dlseg grade %(submission)s --tests %(tests)s --report classroom \\
            --out "$RUNNER_TEMP/graded" || test $? -eq 4
          echo "result=$(cat "$RUNNER_TEMP"/graded/*.classroom.txt)" >> "$GITHUB_OUTPUT"
      - uses: classroom-resources/autograding-grading-reporter@v1
        env: {DLSEG_RESULTS: "${{ steps.dlseg.outputs.result }}"}
        with: {runners: dlseg}
"""


def gradescope_zip(path: Path, tests: Path) -> None:
    """Write the autograder zip: setup.sh, run_autograder, this package, the exercises; always the same bytes."""
    exercise.load(tests)
    files: dict[str, bytes] = {
        "setup.sh": SETUP.encode(),
        "run_autograder": RUN.encode(),
        "unfinished.json": json.dumps({"score": 0, "output": NOT_FINISHED, "tests": []}).encode(),
        "pyproject.toml": (PACKAGE.parent / "pyproject.toml").read_bytes(),
        "constraints.txt": (PACKAGE.parent / "constraints.txt").read_bytes(),
        "README.md": b"The autograder of this course.\n",
        "LICENSE": (PACKAGE.parent / "LICENSE").read_bytes(),
    }
    for source in sorted(PACKAGE.rglob("*.py")):
        files[f"dlseg/{source.relative_to(PACKAGE).as_posix()}"] = source.read_bytes()
    for source in [tests] if tests.is_file() else sorted(tests.glob("*.py")):
        files[f"exercises/{source.name}"] = source.read_bytes()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = (0o755 if name in ("setup.sh", "run_autograder") else 0o644) << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)


def classroom_workflow(path: Path, submission: str, tests: str) -> None:
    """Write the workflow that grades `submission` (a path in the student's repository) with `tests`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(WORKFLOW % {"submission": submission, "tests": tests}, encoding="utf-8")


def run_gradescope(submission: Path, tests: Path, results: Path) -> None:
    """Grade the one notebook or Python file in a folder; leaves results.json, whatever happens."""
    run = batch.prepare(results / "dlseg", tests, kinds=("gradescope", "json"))
    try:
        done = [document for document, _ in batch.grade_all(run, [submission])]
        if len(done) != 1:
            raise ValueError(f"hand in exactly one notebook or Python file: {len(done)} were found")
        text = (run.out / f"{result.file_stem(done[0].submission)}.gradescope.json").read_text(encoding="utf-8")
    except ValueError as error:
        text = json.dumps({"score": 0, "output": str(error), "tests": []})
    result.write(results / "results.json", text)


if __name__ == "__main__":
    run_gradescope(*map(Path, sys.argv[1:4]))
