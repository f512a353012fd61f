"""`hint` and `standing` show their page wherever they are called, and once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


@pytest.mark.parametrize("call", ["hint('pooling.sizes')", "standing('pooling')"])
def test_in_the_middle_of_a_cell_and_as_its_last_line_it_is_shown_once(shell: InteractiveShell, call: str) -> None:
    from dlseg.course.catalogue import of_notebook

    call = call.replace("pooling.sizes", of_notebook("pooling")[0].id)
    shell.run_cell("from dlseg.course import hint, standing", store_history=True)
    for cell in (f"{call}\nx = 1", f"{call}", f"answer = {call}\nanswer", f"for _ in range(1):\n    {call}"):
        with capture_output() as captured:
            assert shell.run_cell(cell, store_history=True).success
        pages = [output for output in captured.outputs if "text/html" in output.data]
        assert len(pages) == 1, cell
    with capture_output() as captured:
        shell.run_cell("answer", store_history=True)
    assert len(captured.outputs) == 1, "asked for again in another cell, it is shown again"
