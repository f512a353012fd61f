// The pairwise kernel as the paper writes it, each setting with its value of now; what moves is lit.

const NAMES = ["w1", "sigma_alpha", "sigma_beta", "w2", "sigma_gamma"], LIT = 1500; // milliseconds

const square = (letter) => `<span>|<i>${letter}<sub>i</sub></i> − <i>${letter}<sub>j</sub></i>|<sup>2</sup></span>`;

const setting = (name, letter, below, power = "") => `<span class="dlseg-setting" data-name="${name}">
  <i>${letter}</i><sub>${below}</sub>${power}<span class="dlseg-value"></span></span>`;

const share = (letter, name, below) =>
  `<span class="dlseg-share">${square(letter)}<span>2 ${setting(name, "σ", below, "<sup>2</sup>")}</span></span>`;

const TERMS = `<span><i>k</i>(<i>i</i>, <i>j</i>) =</span>
  <span class="dlseg-term" data-term="appearance">${setting("w1", "w", "1")} exp( −
    ${share("p", "sigma_alpha", "α")} − ${share("I", "sigma_beta", "β")} )</span>
  <span class="dlseg-term" data-term="smoothness">+ ${setting("w2", "w", "2")} exp( −
    ${share("p", "sigma_gamma", "γ")} )</span>`;

const WORDS = `The kernel between pixels i and j, at positions p with colours I: an appearance term, weight w1, reach
  sigma alpha, colour tolerance sigma beta; and a smoothness term, weight w2, reach sigma gamma.`;

function render({ model, el }) {
  el.classList.add("dlseg-formula");
  el.innerHTML = TERMS;
  el.setAttribute("role", "img");
  el.setAttribute("aria-label", WORDS);
  let dark = 0;
  const find = (name) => el.querySelector(`[data-name="${name}"]`);
  const write = (name) => { find(name).querySelector(".dlseg-value").textContent = `${+model.get(name).toPrecision(3)}`; };

  const listeners = NAMES.map((name) => [`change:${name}`, () => {
    write(name);
    for (const lit of el.querySelectorAll(".dlseg-lit")) lit.classList.remove("dlseg-lit");
    for (const part of [find(name), find(name).closest(".dlseg-term")]) part.classList.add("dlseg-lit");
    clearTimeout(dark);
    dark = setTimeout(() => { for (const lit of el.querySelectorAll(".dlseg-lit")) lit.classList.remove("dlseg-lit"); }, LIT);
  }]);
  NAMES.forEach(write);
  for (const [event, listener] of listeners) model.on(event, listener);
  return () => { clearTimeout(dark); for (const [event, listener] of listeners) model.off(event, listener); };
}

export default { render };
