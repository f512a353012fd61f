"""`dlseg grade --check` tries what a student might try, and says what holds in plain words."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from dlseg.cli import main
from dlseg.grading import protection
from dlseg.grading.protection import Protection
from dlseg.grading.sandbox import client


def test_check() -> None:
    done = CliRunner().invoke(main, ["grade", "--check"])
    assert done.exit_code == 0, done.output
    assert "In force: " in done.output and "could read none" in done.output
    assert "tried, out of reach" in done.output and "NOT PROTECTED" not in done.output


def test_a_copy_that_is_in_reach_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the locks do not hide the exercises, the check says so and ends with another exit code."""
    shown = Path("/usr/share")  # any folder that jobs see
    monkeypatch.setattr(client.bubblewrap, "command", _unmasked(client.bubblewrap.command))
    real = client.Sandbox._command

    def without_hidden(self: client.Sandbox, scratch: Path, link: int) -> list[str]:
        hidden, self.hidden = self.hidden, []
        words = real(self, scratch, link)
        self.hidden = [*hidden, shown]
        return words

    monkeypatch.setattr(client.Sandbox, "_command", without_hidden)
    found = protection.examine(tmp_path, level="bubblewrap")
    if not found.level:
        pytest.skip(str(found))
    assert str(shown) in found.exposed and not found.holds and "NOT PROTECTED: a job can read" in str(found)
    done = CliRunner().invoke(main, ["grade", "--check", "--isolation", "bubblewrap"])
    assert done.exit_code == 1 and "library-in-reach" in done.output


def _unmasked(command: object) -> object:
    return lambda package, visible, hidden: command(package, visible, [])  # type: ignore[operator]


def test_where_no_level_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(self: client.Sandbox) -> None:
        raise client.SandboxError("isolation 'x' is not available here: no such kernel")

    monkeypatch.setattr(client.Sandbox, "start", refused)
    found = protection.examine(tmp_path)
    assert not found.holds and str(found).count("not available here: no such kernel") == 2
    assert "No submission can be graded safely" in str(found)
    assert CliRunner().invoke(main, ["grade", "--check"]).exit_code == 1


def test_an_open_door_is_named() -> None:
    text = str(Protection("landlock", "landlock", 3, [], ["a job can use the network"], {}))
    assert "NOT PROTECTED: a job can use the network." in text and "tried, out of reach" not in text


def test_without_check_files_are_needed() -> None:
    assert "Missing argument 'PATHS'" in CliRunner().invoke(main, ["grade", "--out", "x"]).output
    assert "Missing option '--out'" in CliRunner().invoke(main, ["grade", __file__]).output
