"""Faults of a page that a person sees at once: text cut off, things on top of each other, scrolling sideways."""

from __future__ import annotations

from playwright.sync_api import Page

FAULTS = """() => {
  const found = [], outputs = [...document.querySelectorAll(".jp-OutputArea-output")];
  const name = (e) => `${e.className || e.tagName} “${(e.innerText || e.value || "").slice(0, 40)}”`;
  const visible = (e) => e.getClientRects().length && getComputedStyle(e).visibility !== "hidden";
  const all = (selector) => outputs.flatMap((o) => [...o.querySelectorAll(selector)]).filter(visible);
  for (const o of outputs) if (o.scrollWidth > o.clientWidth + 1) found.push(`scrolls sideways: ${name(o)}`);
  const words = ".widget-label, .widget-readout, button, .dlseg-title, .dlseg-status, .dlseg-legend span, "
    + ".dlseg-bars-row > span, td, p";
  const texts = all(words);
  for (const e of texts) if (e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== "inline")
    found.push(`cut off: ${name(e)}`);
  for (const e of all("svg text")) {
    const inner = e.getBoundingClientRect(), outer = e.ownerSVGElement.getBoundingClientRect();
    if (inner.left < outer.left - 1 || inner.right > outer.right + 1) found.push(`cut off: ${e.textContent}`);
  }
  const pen = document.createElement("canvas").getContext("2d");
  for (const e of all("select")) {
    pen.font = getComputedStyle(e).font;
    const words = e.selectedOptions[0]?.text ?? "";
    if (pen.measureText(words).width > e.clientWidth - 16) found.push(`cut off: option ${words}`);
  }
  // what is scrolled out of a box of its own lies over nothing
  const seen = (e) => {
    let { left, top, right, bottom } = e.getBoundingClientRect();
    for (let at = e.parentElement; at && !at.matches(".jp-OutputArea-output"); at = at.parentElement) {
      if (!["auto", "scroll"].includes(getComputedStyle(at).overflowY)) continue;
      const box = at.getBoundingClientRect();
      [top, bottom] = [Math.max(top, box.top), Math.min(bottom, box.bottom)];
      [left, right] = [Math.max(left, box.left), Math.min(right, box.right)];
    }
    return { left, top, right, bottom };
  };
  const boxes = [...texts, ...all("select, canvas, .slider-container, img")].map((e) => [e, seen(e)])
    .filter(([, box]) => box.bottom > box.top && box.right > box.left);
  for (const [e, a] of boxes) {
    if (a.right > innerWidth + 1 || a.left < 0) found.push(`outside: ${name(e)}`);
    for (const [f, b] of boxes) {
      if (e === f || e.contains(f) || f.contains(e) || e.compareDocumentPosition(f) & 2) continue;
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 2 && high > 2) found.push(`overlap: ${name(e)} and ${name(f)}`);
    }
  }
  return found;
}"""

# WCAG's contrast of every text with what lies behind it
FAINT = """([least, within]) => {
  const parse = (css) => [...css.match(/[\\d.]+/g).map(Number), 1].slice(0, 4);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const over = (top, below) => [0, 1, 2].map((k) => top[k] * top[3] + below[k] * (1 - top[3]));
  const behind = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return [255, 255, 255, 1];
  };
  const aside = ":disabled, mjx-assistive-mml, noscript";
  const texts = [...document.querySelectorAll(`${within} *`)].filter((e) => e.offsetParent !== null
    && !e.closest(aside) && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()));
  return texts.flatMap((e) => {
    const back = behind(e), front = over(parse(getComputedStyle(e).color), back);
    const [bright, dark] = [light(front), light(back)].sort((a, b) => b - a);
    const ratio = (bright + 0.05) / (dark + 0.05);
    return ratio < least ? [`${ratio.toFixed(1)}:1 “${e.textContent.trim().slice(0, 30)}”`] : [];
  });
}"""


def faults(page: Page) -> list[str]:
    """What is cut off, overlaps or sticks out in the outputs of the page, one line each."""
    found: list[str] = page.evaluate(FAULTS)
    return found


def faint(page: Page, least: float = 4.5, within: str = ".jp-OutputArea-output") -> list[str]:
    """Texts in outputs whose contrast is below `least` (WCAG AA: 4.5); those of disabled controls aside."""
    found: list[str] = page.evaluate(FAINT, [least, within])
    return found
