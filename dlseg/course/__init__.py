"""The course: student notebooks built from solved sources, and what a student calls in them."""

from dlseg.course.guessing import guess, guesses
from dlseg.course.hints import hint
from dlseg.course.selfcheck import case, check, standing, yours
from dlseg.figures import show_in_notebooks

__all__ = ["case", "check", "guess", "guesses", "hint", "standing", "yours"]

show_in_notebooks()  # the cells' own plots too are to be read in the dark
