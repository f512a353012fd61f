// Gives screen readers what the eye sees: the name and value of each slider, the names of the play buttons.
// It also sets symbols as symbols: ipywidgets lets no <sub> through.
// ipywidgets draws a slider's label beside it without tying the two together, and reads out a logarithmic one's exponent.

const PLAY = { "fa-play": "play", "fa-pause": "pause", "fa-stop": "back to the first", "fa-retweet": "play in a loop" };

function put(element, name, value) {
  if (element && value && element.getAttribute(name) !== value) element.setAttribute(name, value);
}

function typeset(label) {
  const [all, letter, below] = label?.textContent.match(/^([wσ])([12αβγ]) /) ?? [];
  if (!all || label.querySelector("sub")) return;
  const symbol = document.createElement("i"), index = document.createElement("sub");
  [symbol.textContent, index.textContent] = [letter, below];
  label.replaceChildren(symbol, index, label.textContent.slice(2));
}

function label(root) {
  for (const slider of root.querySelectorAll(".widget-slider")) {
    typeset(slider.querySelector(".widget-label"));
    const words = slider.querySelector(".widget-label")?.textContent, readout = slider.querySelector(".widget-readout");
    const handle = slider.querySelector(".noUi-handle");
    put(handle, "aria-label", words);
    put(handle, "aria-valuetext", readout?.textContent);
    put(readout, "aria-label", `${words}, type a value`);
    put(readout, "role", "textbox");
  }
  for (const [icon, name] of Object.entries(PLAY)) {
    const button = root.querySelector(`.widget-play .${icon}`)?.closest("button");
    put(button, "aria-label", name);
    put(button, "title", name);
  }
}

function render({ el }) {
  let watching = null;
  const begin = () => {
    const root = el.closest(".dlseg-explorer");
    if (!root) return requestAnimationFrame(begin); // not yet on the page
    label(root);
    watching = new MutationObserver(() => label(root));
    watching.observe(root, { subtree: true, childList: true, characterData: true, attributeFilter: ["aria-valuetext"] });
    return 0;
  };
  const frame = begin();
  el.style.display = "none";
  return () => { cancelAnimationFrame(frame); watching?.disconnect(); };
}

export default { render };
