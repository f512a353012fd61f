"""DeepLab v1 taken apart: the hole algorithm, the networks, the fully connected CRF, the course, the grader."""

__version__ = "0.1.0"
