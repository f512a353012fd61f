"""What numba compiles: loops over flat arrays that hold no interpreter lock."""
