"""A class of 200, its grader killed three times and doubled once: who has which points, and what the grader needed.

130 honest submissions in several styles, 30 hostile, 20 broken, 20 handed in again with a correction between two
runs. Ends with an error where one honest answer lost a point, a hostile or broken one won any, a submission has no
row, bytes were graded twice, or the grader held more than MEMORY_MB.

    python benchmarks/class_run.py [--size 200]
"""

import argparse
import csv
import inspect
import json
import os
import random
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from dlseg.grading import exercise

ROOT = Path(__file__).resolve().parents[1]
HOSTILE = ROOT / "tests" / "hostile"
POOLING = ROOT / "dlseg" / "course" / "exercises" / "pooling.py"
MEMORY_MB = 400
SEED = "424242"  # hostile code looks for it
SLOW = ("sleep", "stop_self", "loop", "slow_", "swallow", "deaf", "fork", "thread", "forged_end")
SMALL = (
    "def before(x):\n    return x + 1\n\ndef victim(x):\n    return x * x - 7\n\ndef after(x):\n    return x - 1\n"
)


def notebook(cells: list[str]) -> str:
    listed = [
        {"cell_type": "code", "id": f"c{n}", "source": c, "metadata": {}, "outputs": []}
        for n, c in enumerate(cells)
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": listed})


def answers() -> list[str]:
    """The answers to notebook 01 and to three small exercises, one text each."""
    return [*(inspect.getsource(e.reference) for e in exercise.load(POOLING)), *SMALL.strip().split("\n\n")]


def honest(number: int) -> tuple[str, str]:
    """A name and a text that are right; the styles take turns."""
    rng, mine = random.Random(number), answers()
    imports = "import numpy as np\nimport torch"
    scratch = rng.choice(
        ["TABLE = []\nfor i in range(9):\n    TABLE.append(i)", "1 / 0", "%matplotlib inline\n!ls", "x = 3\nx"]
    )
    rng.shuffle(mine)
    if number % 3 == 0:
        return f"honest{number:03}.py", "\n\n".join([imports, *mine])
    if number % 3 == 1:
        return f"honest{number:03}.ipynb", notebook([imports, scratch, *mine, scratch])
    return f"honest{number:03}.ipynb", notebook([f"# {number}\n{imports}", "\n\n".join(mine)])


def broken(number: int) -> tuple[str, str | bytes]:
    """A name and a content that is no submission, or none that runs."""
    kinds: list[tuple[str, str | bytes]] = [
        ("ipynb", "{"),
        ("ipynb", '{"cells": 3}'),
        ("zip", b"PK no zip"),
        ("py", b"\xff\xfe\x00"),
        ("py", "def before(x:\n"),
    ]
    suffix, content = kinds[number % len(kinds)]
    return f"broken{number:03}.{suffix}", content


def make(folder: Path, size: int) -> dict[str, int]:
    """Write the class; how many there are of each kind."""
    counts = {"honest": size * 130 // 200, "hostile": size * 30 // 200, "broken": size * 20 // 200}
    counts["again"] = size - sum(counts.values())
    attacks = runpy.run_path(str(HOSTILE / "attacks.py"))["ATTACKS"]
    fast = [text for name, text in attacks.items() if not any(word in name for word in SLOW)]
    places = repr(
        {"tests": str(HOSTILE / "exercises.py"), "out": str(folder.parent / "out"), "port": 9, "seed": SEED}
    )
    for number in range(counts["honest"]):
        name, text = honest(number)
        (folder / name).write_text(text)
    for number in range(counts["hostile"]):
        text = fast[number * len(fast) // counts["hostile"]].replace("PLACES", places)
        (folder / f"hostile{number:03}.py").write_text(f"# %%\n{text}")
    for number in range(counts["broken"]):
        name, content = broken(number)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    for number in range(counts["again"]):
        (folder / f"again{number:03}.py").write_text("def before(x):\n    return 0\n")
    return counts


def peak_mb(pid: int) -> float:
    """The most memory that a process has held so far."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return max((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), default=0.0)


def run(words: list[str], out: Path, until: int | None) -> tuple[int, float]:
    """Run a grader, killed once `until` results lie there; its exit code and its peak memory."""
    running = subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    most = 0.0
    while running.poll() is None:
        most = max(most, peak_mb(running.pid))
        if until is not None and len(list(out.glob("[!.]*.json"))) >= until:
            os.kill(running.pid, signal.SIGKILL)
        time.sleep(0.05)
    return running.returncode, most


def check(folder: Path, out: Path, counts: dict[str, int], most: float) -> list[str]:
    """What is not as it should be."""
    rows = list(csv.DictReader((out / "grades.csv").read_text().splitlines()))
    full = max(float(row["max_score"]) for row in rows)
    wrong = [
        f"{r['submission']}: {r['score']}"
        for r in rows
        if r["submission"][:5] in ("hones", "again") and float(r["score"]) < full
    ]
    wrong += [
        f"{r['submission']}: {r['score']} of victim's points"
        for r in rows
        if r["submission"].startswith("hostile") and float(r["hostile.victim"] or 0)
    ]
    wrong += [
        f"{r['submission']}: {r['score']}"
        for r in rows
        if r["submission"].startswith("broken") and float(r["score"])
    ]
    wrong += [f"{len(rows)} rows for {sum(counts.values())} submissions"] * (len(rows) != sum(counts.values()))
    for path in out.glob("[!.]*.json"):
        document = json.loads(path.read_text())
        silent = [e["id"] for e in document["exercises"] if e["status"] != "passed" and not e["reason"]]
        wrong += [f"{path.stem}: no word on {name}" for name in silent]
    events = [json.loads(line) for line in (out / ".journal.jsonl").read_text().splitlines()]
    twice = [
        key
        for key, n in Counter((e["submission"], e["digest"]) for e in events if e["event"] == "graded").items()
        if n > 1
    ]
    wrong += [f"{name} was graded twice from the same bytes" for name, _ in twice]
    return wrong + [f"the grader held {most:.0f} MB, expected at most {MEMORY_MB}"] * (most > MEMORY_MB)


def main(size: int) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder, out, tests = Path(name, "in"), Path(name, "out"), Path(name, "tests")
        folder.mkdir()
        tests.mkdir()
        for source in (HOSTILE / "exercises.py", POOLING):
            (tests / source.name).write_text(source.read_text())
        counts = make(folder, size)
        words = [
            sys.executable,
            "-m",
            "dlseg",
            "grade",
            str(folder),
            "--out",
            str(out),
            "--tests",
            str(tests),
            "--seed",
            SEED,
            "--report",
            "json,csv",
        ]
        start, most = time.perf_counter(), 0.0
        for share in (0.2, 0.45, 0.7, None):
            code, held = run(words, out, None if share is None else int(share * size))
            most = max(most, held)
            done, seconds = len(list(out.glob("[!.]*.json"))), time.perf_counter() - start
            print(f"{done} results after {seconds:.0f} s, exit code {code}", flush=True)
            if share == 0.45:
                for number in range(counts["again"]):
                    (folder / f"again{number:03}.py").write_text("\n\n".join(["import numpy as np", *answers()]))
            if share == 0.7:  # two at once: one is refused, the other grades
                first = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                code, _ = run(words, out, None)
                print(f"two graders on one folder: exit codes {sorted([code, first.wait()])}")
        wrong = check(folder, out, counts, most)
        print(f"{counts}: peak memory of the grader {most:.0f} MB")
        print(
            "\n".join(wrong)
            or "every honest and corrected submission has all its points; the rest has rows and words"
        )
        return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=200)
    sys.exit(main(parser.parse_args().size))
