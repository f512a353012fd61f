"""Archives: a hostile one writes nothing outside and leaves nothing inside; a damaged one is named."""

import io
import tarfile
from pathlib import Path

import pytest

from dlseg.datasets import download
from dlseg.datasets.download import unpack


def make(path: Path, members: dict[str, bytes], *extra: tarfile.TarInfo, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, body in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
        for member in extra:
            tar.addfile(member)
    return path


def link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, to
    return member


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_the_folder_inside_comes_out(tmp_path: Path, mode: str) -> None:
    archive = make(tmp_path / "a.tar", {"kit/VOC/a.txt": b"a", "kit/b": b"bb", "readme": b"r"}, mode=mode)
    unpack(archive, tmp_path / "out", "kit", "a")
    assert (tmp_path / "out" / "VOC" / "a.txt").read_bytes() == b"a" and (tmp_path / "out" / "b").exists()
    assert not (tmp_path / "out" / ".archive").exists()
    archive.unlink()
    unpack(archive, tmp_path / "out", "kit", "a")  # there already: the archive is not needed


@pytest.mark.parametrize("name", ["traversal", "absolute", "symlink", "hardlink", "through a link", "device"])
def test_hostile_members_write_nothing_outside(tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    target = str(outside / "evil")
    good = {"kit/a": b"a"}
    place = tmp_path / "deep" / "er"
    place.mkdir(parents=True)
    archive = {
        "traversal": lambda p: make(p, good | {"kit/../../../../outside/evil": b"x"}),
        "absolute": lambda p: make(p, good | {"kit/b": b""}, link("kit/c", "/etc/passwd")),
        "symlink": lambda p: make(p, good, link("kit/l", "../../../../outside")),
        "hardlink": lambda p: make(p, good, link("kit/l", "../../../../outside/x", tarfile.LNKTYPE)),
        "through a link": lambda p: make(p, {}, link("kit/l", str(outside)), link("kit/l/evil", "x")),
        "device": lambda p: make(p, good, link("kit/null", "", tarfile.CHRTYPE)),
    }[name](tmp_path / "a.tar")
    with pytest.raises(ValueError, match="refused, since a member reaches outside"):
        unpack(archive, place / "out", "kit", "a")
    assert not list(outside.iterdir()) and not Path(target).exists()
    assert [path for path in place.iterdir() if not path.name.endswith(".lock")] == []


def test_an_absolute_name_stays_inside(tmp_path: Path) -> None:
    """Python's filter takes the leading slash away."""
    archive = make(tmp_path / "a.tar", {"kit/a": b"a", f"{tmp_path}/evil": b"x"})
    unpack(archive, tmp_path / "out", "kit", "a")
    assert not (tmp_path / "evil").exists() and (tmp_path / "out" / "a").exists()


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_cut_off_archive_leaves_nothing(tmp_path: Path, mode: str, share: float) -> None:
    body = bytes(i * i % 251 for i in range(50_000))
    archive = make(tmp_path / "a.tar", {f"kit/{i}": body for i in range(4)}, mode=mode)
    archive.write_bytes(archive.read_bytes()[: int(share * archive.stat().st_size)])
    with pytest.raises(ValueError, match=r"a\.tar: not a whole tar archive"):
        unpack(archive, tmp_path / "out", "kit", "a")
    assert not (tmp_path / "out").exists()


def test_what_else_can_be_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make(tmp_path / "a.tar", {"other/a": b"a"})
    with pytest.raises(ValueError, match=r"no folder 'kit' in it, but other"):
        unpack(archive, tmp_path / "out", "kit", "a")
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 0})())
    with pytest.raises(OSError, match=r"0\.0 GB free, the archive unpacks to"):
        unpack(make(tmp_path / "b.tar", {"kit/a": b"a"}), tmp_path / "out", "kit", "b")
    assert not (tmp_path / "out").exists()
