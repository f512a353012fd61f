"""What a person does with dlseg, from the imports to a trained network, in one process on a pretended system.

`python tour.py win32 FOLDER`: works in FOLDER (its name has blanks and letters outside ASCII) and prints one line
of JSON, an object of results by name.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import pkgutil
import sys
from pathlib import Path
from typing import Any

SANDBOX = "dlseg.grading.sandbox"
PICTURE = "Bäume am Fluß 東京.png"


def imports() -> dict[str, str]:
    """Modules that cannot be imported, and why."""
    import dlseg

    failed: dict[str, str] = {}
    found = pkgutil.walk_packages(dlseg.__path__, "dlseg.", onerror=lambda _: None)
    for name in (module.name for module in found):
        if not name.startswith(SANDBOX + ".") and not name.endswith("__main__"):
            try:
                importlib.import_module(name)
            except Exception as error:
                failed[name] = repr(error)
    return failed


def checks() -> dict[str, str]:
    """How the reference fares in one exercise of each notebook, and what the first hint says."""
    from dlseg.course import check, hint
    from dlseg.course.catalogue import catalogue

    first = {name.split(".")[0]: found for name, found in reversed(list(catalogue().items()))}
    assert all(str(hint(found.id)) for found in first.values())
    return {topic: check(found.id, found.reference).status for topic, found in first.items()}


def stills() -> dict[str, bool]:
    """Whether the explorers give their stills, as PNG."""
    from dlseg.datasets.photos import load_photo
    from dlseg.widgets import atrous_explorer, crf_studio, field_explorer, pooling_explorer

    image, scribbles, names = load_photo("cat")
    studio = crf_studio(image[:120, :160], scribbles=scribbles[:120, :160], classes=names)
    made = {
        "studio": studio,
        "holes": atrous_explorer(),
        "field": field_explorer("deeplab"),
        "pooling": pooling_explorer(),
    }
    drawn = {name: explorer.still().png().startswith(b"\x89PNG") for name, explorer in made.items()}
    for explorer in made.values():
        explorer.close()
    return drawn


def command(*words: str) -> str:
    """What a command of dlseg prints; an error of it where it fails."""
    from click.testing import CliRunner

    from dlseg.cli import main

    done = CliRunner().invoke(main, list(words), catch_exceptions=False)
    return done.output if done.exit_code == 0 else f"exit {done.exit_code}: {done.output}"


def own_set(folder: Path) -> Path:
    """Four scenes in VOC's layout, its lists with Windows' line ends, its names with letters outside ASCII."""
    from dlseg.datasets import load

    val, root = load("shapes", "val"), folder / "meine Daten"
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / part).mkdir(parents=True)
    names = [f"größe {number} 図" for number in range(4)]
    for ours, theirs in zip(names, val.names, strict=False):
        for part, ending in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
            (root / part / f"{ours}.{ending}").write_bytes((val.root / part / f"{theirs}.{ending}").read_bytes())
    classes = (val.root / "classes.json").read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    (root / "classes.json").write_bytes(classes)
    for split in ("train", "val"):
        (root / f"ImageSets/Segmentation/{split}.txt").write_bytes("".join(f"{n}\r\n" for n in names).encode())
    return root


def tune(folder: Path) -> list[str]:
    """What `crf tune` hands to the page, of a picture with scores."""
    from dlseg.widgets import standalone_page

    handed: list[str] = []
    standalone_page.serve = lambda *_, **__: handed.append("served")  # type: ignore[assignment]
    handed += [command("crf", "tune", str(folder / PICTURE), "--weights", "shapes", "--no-browser")]
    return handed


def main(system: str, folder: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    import pretend

    pretend.system(system)
    multiprocessing.set_start_method("spawn")
    os.chdir(folder)
    from PIL import Image

    found: dict[str, Any] = {"imports": imports(), "checks": checks(), "stills": stills()}
    root = own_set(folder)
    Image.open(root / "JPEGImages" / "größe 0 図.jpg").save(folder / PICTURE)
    found["tune"] = tune(folder)
    found["check"] = command("data", "check", str(root))
    found["predict"] = command("predict", PICTURE, "--crf", "--overlay", "--scores")
    found["train"] = command(
        *("train", "--data", str(root), "--iterations", "2", "--batch", "2", "--workers", "1", "--no-evaluate"),
        *("--out", "läufe/netz.safetensors"),
    )
    found["evaluate"] = command("evaluate", "--data", str(root), "--weights", "läufe/netz.safetensors", "--json")
    found["search"] = command(
        *(
            "crf",
            "search",
            "--data",
            str(root),
            "--subset",
            "2",
            "--moves",
            "0",
            "--w1",
            "5",
            "--sigma-alpha",
            "30",
        ),
        *("--sigma-beta", "10", "--jobs", "2", "--best", "bestes.json"),
    )
    own = Path("meine Einstellungen.json")  # as an editor there writes it
    own.write_bytes(Path("bestes.json").read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    found["own settings"] = command("predict", PICTURE, "--crf-params", str(own), "--out", "mit eigenen.png")
    found["copy"] = command("course", "copy", "mein Kurs 図")
    found["copy again"] = command("course", "copy", "mein Kurs 図")
    found["doctor"] = command("doctor")
    (folder / "02_atrous.py").write_bytes(b"def insert_holes(weight, rate):\r\n    return weight\r\n")
    found["grade"] = command("grade", "02_atrous.py", "--out", "Noten")
    found["files"] = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
