"""Sphinx's settings for the book: executed notebooks, guides and the API reference, readable without a network."""

import re

project = "dlseg: DeepLab v1, taken apart"
author = "the dlseg authors"
copyright = "the dlseg authors, MIT licence"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx-mathjax-offline"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_copy_source = False
nb_execution_mode = "off"  # they are executed before: dlseg.course.book
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
autodoc_default_options = {"members": True, "imported-members": True}
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_use_ivar = True  # attributes are a list, like parameters
default_role = "code"
# guides name files of the repository that are no pages of the book
suppress_warnings = ["myst.xref_missing", "mystnb.unknown_mime_type"]


def plain(app, what, name, obj, options, lines):
    """Docstrings are plain words: a bar is an absolute value, a star is a product. Examples stay as they are."""
    example = False
    for i, line in enumerate(lines):
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        if not example:
            lines[i] = re.sub(r"(?<!\\)([|*])", r"\\\1", line)


def skip(app, what, name, obj, skip, options):
    """Other libraries describe their own methods; a named tuple's fields stand in its docstring."""
    field = (getattr(obj, "__doc__", None) or "").startswith("Alias for field number")
    return True if field or not (getattr(obj, "__module__", None) or "dlseg").startswith("dlseg") else None


def setup(app):
    """Called by Sphinx."""
    app.connect("autodoc-skip-member", skip)
    app.connect("autodoc-process-docstring", plain)
