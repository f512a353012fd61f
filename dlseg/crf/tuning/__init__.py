"""Choosing the CRF's parameters by cross-validation (paper, section 4.2: coarse to fine on a few images)."""
