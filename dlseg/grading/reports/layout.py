"""The frame of our pages: escaped text only, no script, nothing loaded from anywhere."""

from __future__ import annotations

from html import escape

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 52rem; padding: 0 1rem;
  color: #222 }
h1 { font-size: 1.6rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin: 0 }
.score { font-size: 2.2rem; font-weight: 700 } .quiet { color: #595959; font-size: .9rem }
section { border: 1px solid #ccc; border-left: .5rem solid var(--tone); border-radius: .4rem;
  margin: 1rem 0; padding: .8rem 1rem }
.head { display: flex; justify-content: space-between; gap: 1rem; align-items: baseline }
.word { color: var(--tone); font-weight: 600 } table { border-collapse: collapse; width: 100%;
  margin: .5rem 0 }
td, th { text-align: left; padding: .25rem .5rem; border-top: 1px solid #ddd; vertical-align: top }
td.number, th.number { text-align: right; white-space: nowrap }
section table { table-layout: fixed } section th:first-child { width: 28% }
section th.number { width: 4rem } img { max-width: 100% }
.wide { overflow-x: auto } .grid td { white-space: nowrap } .grid a { color: inherit }
th.upright { vertical-align: bottom; font-weight: 400 }
th.upright span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 16rem }
summary { cursor: pointer; font-size: .9rem }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; font: .85rem/1.4 ui-monospace, monospace }
.good { --tone: #006b4f } .part { --tone: #8a5a00 } .bad { --tone: #b03a00 } .none { --tone: #595959 }
@media (prefers-color-scheme: dark) { body { background: #16181c; color: #e6e6e6 } .quiet { color: #aaa }
  .good { --tone: #4cc9a0 } .part { --tone: #e8b04a } .bad { --tone: #ff8a5c } .none { --tone: #aaa }
  a { color: #8ab4f8 } img { background: #fff } section { border-color: #444; border-left-color: var(--tone) }
  td, th { border-color: #444 } }
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
TONES = {"passed": "good", "partial": "part", "missing": "none", "grader_error": "none"}


def tone(status: str) -> str:
    """The class of colour of a status."""
    return TONES.get(status, "bad")


def page(title: str, body: str) -> str:
    """A whole page around a body that is already safe."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>{body}</body></html>\n"
    )


def points(value: float | int) -> str:
    """Points as people write them: 3, 2.5."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
