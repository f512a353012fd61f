"""Data sets in PASCAL VOC's folder layout (paper, section 5)."""
