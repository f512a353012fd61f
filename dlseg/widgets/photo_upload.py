"""A button that takes a picture from the user's computer; the page makes a large one smaller before it travels."""

from __future__ import annotations

import io

import anywidget
import numpy as np
import traitlets
from jaxtyping import UInt8
from PIL import Image

from dlseg.widgets.studio.engine import WHOLE_PIXELS


class PhotoButton(anywidget.AnyWidget):  # type: ignore[misc]
    """A button that opens a file dialogue. `count` goes up with each picture that came; `image` is the latest; what
    could not be read is told beside it (`error`).

    The browser reads the file, turns it as its EXIF tag says, and divides its sides by the least whole number that
    leaves no more than about `most` pixels; `original` is the (height, width) that it had.
    """

    _esm = """
    async function reduced(file, most) {
      const bitmap = await createImageBitmap(file);
      let factor = 1;
      while (bitmap.width * bitmap.height > most * factor * factor) factor++;
      const canvas = new OffscreenCanvas(Math.ceil(bitmap.width / factor), Math.ceil(bitmap.height / factor));
      const context = canvas.getContext("2d");
      context.imageSmoothingQuality = "high";
      context.fillStyle = "white";  // what a transparent picture is laid over
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
      const blob = await canvas.convertToBlob({ type: "image/png" });
      return { original: [bitmap.height, bitmap.width], data: new DataView(await blob.arrayBuffer()) };
    }

    export default { render({ model, el }) {
      const button = document.createElement("button"), input = document.createElement("input");
      button.className = "jupyter-button widget-button";
      button.style.cssText = "width: calc(100% - 4px); margin: 2px";
      button.title = model.get("hint");
      const show = (text) => { button.textContent = text; };
      Object.assign(input, { type: "file", accept: "image/*", hidden: true });
      const error = document.createElement("span");
      error.className = "dlseg-error dlseg-photo-error";
      error.setAttribute("role", "alert");
      const complain = () => { error.textContent = model.get("error"); };
      button.onclick = () => input.click();
      input.onchange = async () => {
        const file = input.files[0];
        if (!file) return;
        show("reading …");
        model.set("error", "");
        try {
          const made = await reduced(file, model.get("most"));
          model.set({ ...made, name: file.name, count: model.get("count") + 1 });
          model.save_changes();
          show(model.get("label"));
        } catch (error) {
          model.set("error", `${file.name} is no picture that can be read`);
          model.save_changes();
          show(model.get("label"));
        }
        input.value = "";  // the same file may be chosen again
      };
      show(model.get("label"));
      model.on("change:error", complain);
      complain();
      el.append(button, input, error);
    } };
    """

    label = traitlets.Unicode("own photo …").tag(sync=True)
    hint = traitlets.Unicode("Load a picture from your computer, and scribble on it").tag(sync=True)
    most = traitlets.Int(WHOLE_PIXELS).tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)
    error = traitlets.Unicode().tag(sync=True)
    original = traitlets.Tuple((0, 0)).tag(sync=True)
    data = traitlets.Bytes().tag(sync=True, from_json=lambda value, widget: bytes(value))
    count = traitlets.Int(0).tag(sync=True)

    @property
    def image(self) -> UInt8[np.ndarray, "H W 3"]:
        """The latest picture, RGB."""
        with Image.open(io.BytesIO(self.data)) as picture:
            return np.asarray(picture.convert("RGB"))
