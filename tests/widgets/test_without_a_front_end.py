"""Run as graders and books run notebooks: without a browser every explorer leaves a still, and says nothing."""

import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from PIL import Image

CELLS = (
    "from dlseg.widgets import atrous_explorer, field_explorer, pooling_explorer, training_explorer",
    "pooling_explorer()",
    "holes = atrous_explorer()\nholes.controls['rate'].value = 3\nprint(holes.answer.forms[0].output.shape)",
    "field_explorer('deeplab')",
    "from dlseg.training import Recipe\n"
    "run = training_explorer(Recipe.shapes(batch=2, crop=66, iterations=20), first=3)",
    "print(len(run.losses), run.trainer.status)\nrun.close()",
)


@pytest.mark.slow
def test_stills_and_no_word_on_stderr(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(repo))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    outputs = [cell.outputs for cell in notebook.cells]
    said = [output.text for cell in outputs for output in cell if output.output_type == "stream"]
    assert said == ["(24, 24)\n", "3 paused\n"], "and nothing on stderr"
    for cell in outputs[1:5]:
        pages = "".join(output.data.get("text/html", "") for output in cell if "data" in output)
        pictures = re.findall(r'src="data:image/webp;base64,([^"]+)"', pages)
        assert pages.count('<div class="dlseg-still">') == 1, (
            "shown once, also where the call is the cell's last line"
        )
        assert len(pictures) == 2, "what keeps its colours, and ink"
        assert np.asarray(Image.open(BytesIO(b64decode(pictures[0]))).convert("L")).std() > 10
        assert len(pages) < 200_000 + 2500, "150 kB in base64, and a few words"
    shown = HTMLExporter().from_notebook_node(notebook)[0]
    seen = re.sub(r"<script.*?</script>", "", shown, flags=re.DOTALL)  # the widgets' state has the stills again
    assert seen.count("run this cell to move it") == 4 and "model not found" not in shown
