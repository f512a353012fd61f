"""Numbers that texts state are held against their cells: one changed by one in its last digit is found."""

import re
from pathlib import Path

import pytest

from dlseg.course import lint
from dlseg.course.claims import Claim, claims, plain
from dlseg.course.lint import claim_faults
from dlseg.course.notebook_source import solved, student

SOURCE = """# %% [markdown]
# # 1 · Test
# ## 1.1 · One section

# %%
table = [59.8, 63.74]
print(f"the first: {{table[0]:.2f}}, and {{1280:,}} pictures, {{-3.25}}")

# %% [markdown]
# The second is {second}, the difference {{{{3.9 = table[1]
# - table[0]}}}}. The first is {first}; there are {many} of them, {{{{−3.2 ± 0.1}}}} below,
# about {{{{70 ± 10 = table[1]}}}}.

# %% [markdown]
# ## 1.2 · Another

# %%
print(7.5)
"""


def written(
    tmp_path: Path, second: str = "63.74", first: str = "59.8", many: str = "1,280", more: str = ""
) -> Path:
    marked = {"second": f"{{{{{second} = table[1]}}}}", "first": f"{{{{{first}}}}}", "many": f"{{{{{many}}}}}"}
    path = tmp_path / "source" / "01_test.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(SOURCE.format(**marked) + more, encoding="utf-8")
    return path


def test_what_is_true_passes_and_readers_see_numbers_alone(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert claim_faults(path) == []
    text = student(path).cells[2].source
    assert "The second is 63.74, the difference 3.9. The first is 59.8; there are 1,280 of them, −3.2 below" in text
    assert all("{{" not in cell.source for make in (student, solved) for cell in make(path).cells)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"second": "63.75"}, r"claims 63.75; table\[1\] is 63.74"),
        ({"second": "64"}, None),
        ({"first": "59.9"}, r"claims 59.9, which no cell of its section prints"),
        ({"first": "59.81"}, r"claims 59.81, which no cell of its section prints"),
        ({"first": "7.5"}, r"claims 7.5, which no cell of its section prints"),  # another section's
        ({"many": "1,281"}, r"claims 1,281, which no cell"),
        ({"second": "63.74 = tables[1] + len(table) - 2 * len("}, r"ended with SyntaxError"),
        (
            {"second": "3 = tables or None }} {{63.74"},
            r"claims 3; tables or None ended with NameError: name 'tables'",
        ),
        ({"second": "63.74 = tables[1] +"}, r"tables\[1\] \+ = table\[1\] ended with SyntaxError"),
    ],
)
def test_a_claim_that_is_one_off_in_its_last_digit_is_found(
    tmp_path: Path, change: dict[str, str], message: str | None
) -> None:
    found = claim_faults(written(tmp_path, **change))
    if message is None:
        assert found == []
    else:
        (only,) = found
        assert re.search(message, only)


def test_the_command_runs_the_notebooks_where_it_is_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(lint, "claim_faults", lambda source, exercises: asked.append(source) or ["one is off"])
    path = written(tmp_path)
    assert "one is off" not in map(lambda fault: fault.message, lint.check(tmp_path)) and not asked
    assert "one is off" in [fault.message for fault in lint.check(tmp_path, run=True)] and asked == [path]


def test_marks_are_read_as_they_are_written() -> None:
    assert claims("{{ 1,280 ± 20 = len(data) }} and {{-0.5}}, not {{x}} nor $x^{{2n}}$") == [
        Claim("1,280", 20.0, "len(data)"),
        Claim("-0.5", None, ""),
    ]
    assert plain("{{ 72 ± 3 = share }} %") == "72 %"
