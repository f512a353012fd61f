"""The options of `dlseg train` for one iteration of a network that is as small as one can be."""

WIDTH = 1 / 16
TINY_RUN = (
    *("--init", "none", "--width", WIDTH, "--recipe", "shapes"),
    *("--crop", 66, "--batch", 2, "--iterations", 1),
)
