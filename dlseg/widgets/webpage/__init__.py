"""The CRF studio as one HTML file that needs no Python, server or network: to be read, mailed, put online."""

from dlseg.widgets.webpage.page import studio_page, studio_parts

__all__ = ["studio_page", "studio_parts"]
