"""Dataclasses as JSON, and what is no such object."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from dlseg.common.json_objects import from_json, read_object, read_object_file, to_json


@dataclass(frozen=True)
class Setting:
    rate: int = 12
    name: str = "fc6"


def test_there_and_back() -> None:
    assert from_json(Setting, to_json(Setting(4, "ärger"))) == Setting(4, "ärger")
    assert from_json(Setting, "{}") == Setting()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "text: not JSON"),
        ("[" * 100_000, "text: not JSON"),
        ("[1]", "text: got a JSON list, expected an object of rate, name"),
        ('{"rat": 1}', "text: unknown rat, expected some of rate, name; nearest: rate"),
    ],
)
def test_what_is_no_object_of_these_keys(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_json(Setting, text)


def test_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf" + b'{"a": 1}')
    assert read_object_file(path) == {"a": 1} == read_object('{"a": 1}')
    path.write_bytes(b"\xff{}")
    with pytest.raises(ValueError, match=r"a\.json: not UTF-8"):
        read_object_file(path)
    with pytest.raises(FileNotFoundError):
        read_object_file(tmp_path / "none.json")
