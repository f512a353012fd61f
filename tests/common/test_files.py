"""Folders are whole or not there."""

import hashlib
from pathlib import Path

import pytest

from dlseg.common import files
from dlseg.common.files import MARKER, is_whole, make_whole, tree_hash


def fill(folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "a" / "b.txt").write_text("one")
    (folder / "c.txt").write_text("two")


def never(folder: Path) -> None:
    raise AssertionError("nothing was to be made")


def test_tree_hash_is_its_definition(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "y").write_text("y")
    assert tree_hash(tmp_path) == hashlib.sha256(b"a/b.txt\x003\x00onec.txt\x003\x00two").hexdigest()


def test_tree_hash_sees_names_and_bytes(tmp_path: Path) -> None:
    fill(tmp_path)
    first = tree_hash(tmp_path)
    (tmp_path / "c.txt").rename(tmp_path / "d.txt")
    second = tree_hash(tmp_path)
    (tmp_path / "d.txt").write_text("twp")
    assert len({first, second, tree_hash(tmp_path)}) == 3


def test_tree_hash_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="no such folder"):
        tree_hash(tmp_path / "none")


def test_made_once(tmp_path: Path) -> None:
    out = tmp_path / "x" / "out"
    first = make_whole(out, {"n": 1}, fill)
    assert first == tree_hash(out) == make_whole(out, {"n": 1}, never)
    assert [p.name for p in out.parent.iterdir()] == ["out"]


def test_a_whole_folder_needs_no_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make_whole(tmp_path / "out", {}, fill)

    def closed(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(files, "FileLock", closed)
    assert make_whole(tmp_path / "out", {}, never) == first


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    assert make_whole(tmp_path / "out", {}, fill)
    (tmp_path / "empty").mkdir()
    assert make_whole(tmp_path / "empty", {}, fill) == tree_hash(tmp_path / "out")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_broken_run_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def breaks(folder: Path) -> None:
        fill(folder)
        raise error

    with pytest.raises(error):
        make_whole(tmp_path / "out", {}, breaks)
    assert not [p for p in tmp_path.iterdir() if not p.name.endswith(".lock")]
    assert make_whole(tmp_path / "out", {}, fill)


def test_what_a_killed_run_left_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / ".out.part-x").mkdir()
    (tmp_path / ".out.part-x" / "stale").touch()
    make_whole(tmp_path / "out", {}, fill)
    assert [p.name for p in tmp_path.iterdir()] == ["out"] and not (tmp_path / "out" / "stale").exists()


def test_something_else_stays_untouched(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("dear")
    (tmp_path / "file").touch()
    for replace in (False, True):
        with pytest.raises(FileExistsError, match="not empty, and nothing that was made here before"):
            make_whole(tmp_path / "letters", {}, never, replace)
        with pytest.raises(FileExistsError, match="is a file"):
            make_whole(tmp_path / "file", {}, never, replace)
    assert (tmp_path / "letters" / "dear.txt").read_text() == "dear"


def test_changed_folders_are_noticed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = make_whole(out, {"n": 1}, fill)
    (out / "c.txt").write_text("t")
    assert not is_whole(out, {"n": 1})
    with pytest.raises(FileExistsError, match="other settings, or its files were changed"):
        make_whole(out, {"n": 1}, never)
    assert make_whole(out, {"n": 1}, fill, replace=True) == first
    (out / "a" / "b.txt").unlink()
    assert make_whole(out, {"n": 1}, fill, replace=True) == first
    with pytest.raises(FileExistsError, match="other settings"):
        make_whole(out, {"n": 2}, never)
    (out / MARKER).write_text("{")
    assert make_whole(out, {"n": 1}, fill, replace=True) == first


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write to .*file"):
        make_whole(tmp_path / "file" / "out", {}, never)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write_whole(path, "one\r\n")
    with pytest.raises(RuntimeError, match="stop"), files.whole_file(path) as draft:
        draft.write_text("half")
        raise RuntimeError("stop")
    assert path.read_bytes() == b"one\r\n" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_two_drafts_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with files.whole_file(path) as first, files.whole_file(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first" and len(list(tmp_path.iterdir())) == 1


def test_a_draft_that_nobody_wrote_is_an_error_and_keeps_the_old(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), files.whole_file(path):
        pass
    assert path.read_text() == "old"


def test_a_long_name_still_has_a_draft(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 240 + ".txt")
    files.write_whole(path, b"all")
    assert path.read_bytes() == b"all"
