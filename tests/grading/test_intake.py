"""Files, folders and zips become submissions with distinct names; hostile zips become a clear sentence."""

import stat
import zipfile
from pathlib import Path

import pytest

from dlseg.grading import intake
from dlseg.grading.intake import collect
from dlseg.grading.submission import SubmissionError, read


def zipped(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def test_folders_zips_and_clashing_names(tmp_path: Path) -> None:
    for folder in ("ada", "grace", ".git", "ada/.ipynb_checkpoints"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "hw.py").write_text("x = 1")
    (tmp_path / "notes.txt").write_text("no")
    zipped(tmp_path / "late.zip", **{"hw.py": "x = 2", "edsger/hw.ipynb": "{}", "__MACOSX/hw.py": "", "a.txt": ""})
    items = collect([tmp_path], tmp_path / "unpacked")
    assert sorted(i.name for i in items) == ["ada-hw", "edsger-hw", "grace-hw", "late-hw"]
    assert all(i.path.is_file() and not i.problem for i in items)


def test_names_that_still_clash_get_numbers(tmp_path: Path) -> None:
    for folder in ("a/x", "b/x"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "hw.py").write_text("")
    names = [i.name for i in collect([tmp_path], tmp_path / "unpacked")]
    assert len(set(names)) == 2 and all(n.startswith("x-hw-") for n in names)


def test_nothing_to_grade(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to grade"):
        collect([tmp_path], tmp_path / "unpacked")
    with pytest.raises(FileNotFoundError, match="no such file"):
        collect([tmp_path / "gone.py"], tmp_path / "unpacked")


@pytest.mark.parametrize("name", ["../../escape.py", "/etc/escape.py", "..\\escape.py", "a/../../escape.py"])
def test_traversal(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    items = collect([zipped(tmp_path / "in" / "evil.zip", **{name: "x"})], tmp_path / "in" / "unpacked")
    assert [i.problem for i in items] == ["escape.py: not an ordinary file inside the zip"]
    assert not list(tmp_path.rglob("escape.py"))


def test_links_in_a_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        link = zipfile.ZipInfo("answers.py")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert "not an ordinary file" in collect([tmp_path / "link.zip"], tmp_path / "unpacked")[0].problem


def test_a_bomb_is_read_up_to_the_cap(tmp_path: Path) -> None:
    bomb = zipped(tmp_path / "bomb.zip", **{"bomb.py": "0" * (300 << 20)})
    assert bomb.stat().st_size < 1 << 20
    (item,) = collect([bomb], tmp_path / "unpacked")
    assert item.problem == "bomb.py unpacks to more than 20 MB"
    assert not list((tmp_path / "unpacked").rglob("*.py"))


def test_a_bomb_of_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MAX_UNPACKED", 5 << 20)
    many = zipped(tmp_path / "many.zip", **{f"a{n}.py": "0" * (2 << 20) for n in range(9)})
    items = collect([many], tmp_path / "unpacked")
    assert len(items) == 3 and "unpacks to more than" in items[-1].problem
    monkeypatch.setattr(intake, "MAX_MEMBERS", 5)
    assert "more than 5 files" in collect([many], tmp_path / "again")[0].problem


@pytest.mark.parametrize("damage", [b"not a zip", b"PK\x03\x04" + b"\0" * 99, b""])
def test_broken_zips(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "broken.zip").write_bytes(damage)
    assert "cannot be read" in collect([tmp_path / "broken.zip"], tmp_path / "unpacked")[0].problem


def test_a_lying_length(tmp_path: Path) -> None:
    good = zipped(tmp_path / "liar.zip", **{"a.py": "x" * 5000}).read_bytes()
    at = good.rindex(b"PK\x01\x02") + 24
    (tmp_path / "liar.zip").write_bytes(good[:at] + (3).to_bytes(4, "little") + good[at + 4 :])
    items = collect([tmp_path / "liar.zip"], tmp_path / "unpacked")
    assert "cannot be read" in items[0].problem


def test_what_is_no_submission(tmp_path: Path) -> None:
    (tmp_path / "link.py").symlink_to("/etc/passwd")
    (tmp_path / "latin.py").write_bytes(b"x = '\xe9\xff'")
    (tmp_path / "text.txt").write_text("")
    for name, words in {
        "link.py": "ordinary file",
        "latin.py": "cannot be read as text",
        "text.txt": "expected a",
        "gone.py": "ordinary file",
    }.items():
        with pytest.raises(SubmissionError, match=words):
            read(tmp_path / name)
