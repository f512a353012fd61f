"""The fully connected CRF (paper, section 4)."""
