"""A button that puts a text on the clipboard; the text is in the page already, so no kernel is asked."""

from __future__ import annotations

import anywidget
import traitlets


class CopyButton(anywidget.AnyWidget):  # type: ignore[misc]
    """A button named `label` that copies `text`, and says so for a second."""

    _esm = """
    async function copy(text) {
      if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
      const area = document.createElement("textarea");  // pages served without TLS have no clipboard interface
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }

    export default { render({ model, el }) {
      const button = document.createElement("button");
      button.className = "jupyter-button widget-button";
      button.style.cssText = "width: calc(100% - 4px); margin: 2px";
      const name = () => { button.textContent = model.get("label"); button.title = model.get("text"); };
      button.onclick = async () => {
        await copy(model.get("text"));
        button.textContent = "copied";
        setTimeout(name, 1000);
      };
      name();
      el.append(button);
      model.on("change:text change:label", name);
      return () => model.off("change:text change:label", name);
    } };
    """

    label = traitlets.Unicode().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)
