"""`dlseg data`: make, check, describe, download and merge data sets."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from dlseg.common.files import tree_hash, write_whole
from dlseg.datasets import cache_folder, shapes, tools
from dlseg.datasets.check import Report
from dlseg.datasets.check import check as check_folder
from dlseg.datasets.custom_layout import FILE


@click.group()
def data() -> None:
    """Make, check, describe, download and merge data sets."""


@data.command()
@click.argument("name", type=click.Choice(["shapes", "tools"]))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Which pictures.")
@click.option("--out", type=click.Path(path_type=Path), help="Where to; by default the cache.")
@click.option("--jobs", default=-1, show_default=True, help="Processes; -1 for one per core.")
@click.option("--train", default=2000, show_default=True, type=click.IntRange(min=1), help="Pictures to train on.")
@click.option("--val", default=240, show_default=True, type=click.IntRange(min=1), help="Pictures to measure on.")
def make(name: str, seed: int, out: Path | None, jobs: int, train: int, val: int) -> None:
    """Make the data set NAME and print its hash: the same everywhere for the same settings.

    What the same command made before is left as it is, and its files are hashed again.
    """
    generated = {"shapes": shapes, "tools": tools}[name]
    out = out or cache_folder() / generated.folder_name(seed, train, val)
    generated.make(out, seed=seed, train=train, val=val, jobs=jobs)
    click.echo(f"{name}: {train} train and {val} val pictures in {out}")
    click.echo(f"tree hash {tree_hash(out)}")


@data.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--classes", type=int, help="How many classes, background included; by default what the folder says.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def check(folder: Path, classes: int | None, as_json: bool) -> None:
    """Read every file of a data set and list every fault; exit status 1 if there is any.

    FOLDER is in VOC's layout, or has a `dataset.json`.
    """
    report = check_folder(folder, classes)
    click.echo(_json(report) if as_json else _text(report))
    if report.faults:
        raise SystemExit(1)


@data.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Write it there, usually FOLDER/dataset.json.")
def describe(folder: Path, out: Path | None) -> None:
    """Look at FOLDER and propose a `dataset.json` for it: splits, endings, classes and values.

    The proposal is printed, with notes on what to look at; a file is written only to --out, and never overwritten.
    """
    from dlseg.datasets.describe import describe as look

    if out is not None and out.exists():
        raise FileExistsError(f"--out: {str(out)!r} is there already; name another file, or remove it first")
    found = look(folder)
    text = json.dumps(found.description, indent=1, ensure_ascii=False)
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    if out is None:
        click.echo(text)
        click.echo(f"note: nothing was written; --out {folder / FILE} writes it", err=True)
    else:
        write_whole(out, text + "\n")
        click.echo(f"{out}: written; `dlseg data check {folder}` reads every file by it")


@data.command()
@click.argument("name", type=click.Choice(["voc2012", "sbd"]))
@click.option("--out", type=click.Path(path_type=Path), help="Where to; by default the cache, where it is found.")
@click.option("--mirror", "mirrors", multiple=True, help="An address of the archive to try first; repeatable.")
@click.option("--hash", "hashes", multiple=True, help="sha256:…, sha1:… or md5:… instead of the known ones.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds without a byte that mean a stall.")
@click.option("--keep", is_flag=True, help="Keep the archive.")
@click.option("--list", "show", is_flag=True, help="Print the known mirrors and hashes, and fetch nothing.")
def download(
    name: str,
    out: Path | None,
    mirrors: tuple[str, ...],
    hashes: tuple[str, ...],
    timeout: float,
    keep: bool,
    show: bool,
) -> None:
    """Fetch and unpack VOC 2012 (2 GB) or SBD from the first mirror that has it.

    An interrupted download goes on where it was. Nothing is used whose hash is not right.
    """
    from dlseg.datasets.download import KNOWN, fetch

    if show:
        source = KNOWN[name][0]
        size = "size not known" if source.size is None else f"{source.size:,} bytes"
        click.echo("\n".join([f"{source.file}, {size}", *source.hashes, *source.urls]))
        return
    place = fetch(name, out or cache_folder(), mirrors=mirrors, hashes=hashes, timeout=timeout, keep=keep)
    click.echo(f"{name}: in {place}")


@data.command()
@click.argument("sbd", type=click.Path(path_type=Path), required=False)
@click.option("--voc", type=click.Path(path_type=Path), help="The folder VOC2012; else DLSEG_VOC or the cache.")
@click.option("--jobs", default=-1, show_default=True, help="Processes; -1 for one per core.")
def merge(sbd: Path | None, voc: Path | None, jobs: int) -> None:
    """Merge SBD's labels into VOC 2012: the lists train_aug (10,582) and trainval_aug of "voc2012-aug".

    SBD is a folder with `cls/*.mat` or `cls/*.png`; by default the downloaded one.
    """
    from dlseg.datasets.voc2012 import LENGTHS, find
    from dlseg.datasets.voc2012 import merge as merge_labels

    root = voc or find()
    lengths = merge_labels(root, sbd or cache_folder() / "benchmark_RELEASE", jobs)
    for split, length in lengths.items():
        note = "" if length == LENGTHS[split] else f" (the published one has {LENGTHS[split]})"
        click.echo(f"{split}: {length} images in {root}{note}")


def _json(report: Report) -> str:
    return json.dumps({**asdict(report), "folder": str(report.folder), "ok": not report.faults}, indent=1)


def _text(report: Report) -> str:
    lists = ", ".join(f"{split} {count}" for split, count in report.lists.items()) or "none"
    lines = [f"{report.folder}: {report.num_classes} classes; lists: {lists}"]
    lines += [f"{split}: {words}" for split, words in report.labels.items()]
    lines += [f"note: {note}" for note in report.notes]
    lines += [f"fault: {fault.file}: {fault.what}" for fault in report.faults]
    count = len(report.faults)
    return "\n".join([*lines, "no fault" if not count else f"{count} fault{'s' * (count > 1)}"])
