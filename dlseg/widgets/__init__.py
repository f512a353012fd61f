"""Live explorers: thin shells over the figures. Each is one plain function call with plain arguments."""

from dlseg.widgets.crf_studio import CRFStudio, crf_studio

__all__ = ["CRFStudio", "crf_studio"]
