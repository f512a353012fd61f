"""DeepLab v1 taken apart: hole algorithm, networks, fully connected CRF, course and grader."""

__version__ = "0.2.0"
