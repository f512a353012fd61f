"""The machine behind `kernel="lattice"`: mean field by permutohedral lattices, fast.

A reader of the paper's section 4 needs none of this: `dlseg.crf.mean_field` has the equation and `dlseg.crf.exact`
computes it as it stands. From top to bottom:

inference: one mean-field inference and what it may leave out; pruning: which labels; state: what it starts from.
filter: a Gaussian kernel, normalised; structure: its lattice; unrolled: mean field with a gradient.
jit: the compiled loops. threads, buffers: who runs them, and the memory they work in.
"""
