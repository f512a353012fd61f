// Brings an explorer's newest still into its notebook, where the page was loaded anew while the kernel lives: such a
// page does not know the outputs by the names that the kernel gave them, and no update reaches them.

const VIEW = "application/vnd.jupyter.widget-view+json", KIND = "text/html", SIGN = "dlseg-still";

/** The notebook's cells; none where the front end is another one than JupyterLab's, which may know the names still. */
const cellsOf = (manager) => [...(manager.context?.model?.cells ?? [])];

/** Puts `html` into each still that stands below a view of the widget `explorer`. */
function keep(cells, explorer, html) {
  for (const { outputs } of cells) {
    for (let at = 1; at < (outputs?.length ?? 0); at++) {
      if (outputs.get(at - 1).data[VIEW]?.model_id !== explorer) continue;
      const still = outputs.get(at), now = [still.data[KIND] ?? ""].flat().join("");
      if (!now.includes(SIGN) || now === html) continue;
      const output = still.toJSON();
      outputs.set(at, { ...output, data: { ...output.data, [KIND]: html } });
    }
  }
}

function render({ model, el }) {
  el.style.display = "none";
  const bring = () => {
    if (model.get("html")) keep(cellsOf(model.widget_manager), model.get("explorer"), model.get("html"));
  };
  model.on("change:html", bring);
  bring();
  return () => model.off("change:html", bring);
}

export default { render };
