# %% crf.mean_field_step · wrong sign
def mean_field_step(q, u, k):
    m = q @ k
    e = u + m
    n = np.exp(e.min(0) - e)
    return n / n.sum(0)

# %% crf.mean_field_step · no message
def mean_field_step(q, u, k):
    n = np.exp(u.min(0) - u)
    return n / n.sum(0)

# %% crf.mean_field_step · not normalised
def mean_field_step(q, u, k):
    m = q @ k
    return np.exp(-(u + m.sum(0) - m))

# %% crf.mean_field_step · over pixels
def mean_field_step(q, u, k):
    m = q @ k
    e = u + m.sum(0) - m
    n = np.exp(e.min(0) - e)
    return n / n.sum(1, keepdims=True)

# %% crf.mean_field_step · overflows · 4 points
def mean_field_step(q, u, k):
    m = q @ k
    n = np.exp(-(u + m.sum(0) - m - 700))
    return n / n.sum(0)

# %% crf.mean_field_step · transposed
def mean_field_step(q, u, k):
    m = q @ k
    e = u + m.sum(0) - m
    n = np.exp(e.min(0) - e)
    return (n / n.sum(0)).T

# %% crf.mean_field_step · the labels
def mean_field_step(q, u, k):
    m = q @ k
    return (u + m.sum(0) - m).argmin(0)

# %% crf.mean_field_step · forgets the unary
def mean_field_step(q, u, k):
    m = q @ k
    e = m.sum(0) - m
    n = np.exp(e.min(0) - e)
    return n / n.sum(0)

# %% crf.mean_field_step · mixes shapes
def mean_field_step(q, u, k):
    return k @ q

# %% crf.mean_field_step · two labels only · 2 points
def mean_field_step(q, u, k):
    m = q @ k
    e = u + m[::-1]
    n = np.exp(e.min(0) - e)
    return n / n.sum(0)

# %% crf.kernel · forgets the two
def kernel(p, c, params):
    w1, a, b, w2, g = params
    d, e = ((p[:, None] - p) ** 2).sum(-1), ((c[:, None] - c) ** 2).sum(-1)
    return w1 * np.exp(-d / a ** 2 - e / b ** 2) + w2 * np.exp(-d / g ** 2)

# %% crf.kernel · sigma not squared
def kernel(p, c, params):
    w1, a, b, w2, g = params
    d, e = ((p[:, None] - p) ** 2).sum(-1), ((c[:, None] - c) ** 2).sum(-1)
    return w1 * np.exp(-d / (2 * a) - e / (2 * b)) + w2 * np.exp(-d / (2 * g))

# %% crf.kernel · distance not squared
def kernel(p, c, params):
    w1, a, b, w2, g = params
    d, e = np.abs(p[:, None] - p).sum(-1), np.abs(c[:, None] - c).sum(-1)
    return w1 * np.exp(-d / (2 * a ** 2) - e / (2 * b ** 2)) + w2 * np.exp(-d / (2 * g ** 2))

# %% crf.kernel · alpha and beta swapped
def kernel(p, c, params):
    w1, b, a, w2, g = params
    d, e = ((p[:, None] - p) ** 2).sum(-1), ((c[:, None] - c) ** 2).sum(-1)
    return w1 * np.exp(-d / (2 * a ** 2) - e / (2 * b ** 2)) + w2 * np.exp(-d / (2 * g ** 2))

# %% crf.kernel · wrong sign
def kernel(p, c, params):
    w1, a, b, w2, g = params
    d, e = ((p[:, None] - p) ** 2).sum(-1), ((c[:, None] - c) ** 2).sum(-1)
    return w1 * np.exp(d / (2 * a ** 2) + e / (2 * b ** 2)) + w2 * np.exp(d / (2 * g ** 2))

# %% crf.kernel · appearance alone
def kernel(p, c, params):
    w1, a, b, w2, g = params
    d, e = ((p[:, None] - p) ** 2).sum(-1), ((c[:, None] - c) ** 2).sum(-1)
    return w1 * np.exp(-d / (2 * a ** 2) - e / (2 * b ** 2))

# %% crf.kernel · no self
def kernel(p, c, params):
    w1, a, b, w2, g = params
    d, e = ((p[:, None] - p) ** 2).sum(-1), ((c[:, None] - c) ** 2).sum(-1)
    k = w1 * np.exp(-d / (2 * a ** 2) - e / (2 * b ** 2)) + w2 * np.exp(-d / (2 * g ** 2))
    np.fill_diagonal(k, 0)
    return k

# %% crf.kernel · adds the Gaussians of place and colour
def kernel(p, c, params):
    w1, a, b, w2, g = params
    d, e = ((p[:, None] - p) ** 2).sum(-1), ((c[:, None] - c) ** 2).sum(-1)
    return w1 * (np.exp(-d / (2 * a ** 2)) + np.exp(-e / (2 * b ** 2))) + w2 * np.exp(-d / (2 * g ** 2))

# %% crf.kernel · only the neighbours in the list
def kernel(p, c, params):
    w1, a, b, w2, g = params
    d, e = ((p[1:] - p[:-1]) ** 2).sum(-1), ((c[1:] - c[:-1]) ** 2).sum(-1)
    return w1 * np.exp(-d / (2 * a ** 2) - e / (2 * b ** 2)) + w2 * np.exp(-d / (2 * g ** 2))

# %% crf.kernel · does not sum over the axes
def kernel(p, c, params):
    w1, a, b, w2, g = params
    d, e = (p[:, None] - p) ** 2, (c[:, None] - c) ** 2
    return w1 * np.exp(-d / (2 * a ** 2) - e / (2 * b ** 2)) + w2 * np.exp(-d / (2 * g ** 2))

# %% crf.energy · every pair twice
def energy(labels, unary, kernel):
    return unary[labels, np.arange(len(labels))].sum() + kernel[labels[:, None] != labels].sum()

# %% crf.energy · like labels pay
def energy(labels, unary, kernel):
    return unary[labels, np.arange(len(labels))].sum() + np.triu(kernel * (labels[:, None] == labels), 1).sum()

# %% crf.energy · unary alone
def energy(labels, unary, kernel):
    return unary[labels, np.arange(len(labels))].sum()

# %% crf.energy · pairs alone
def energy(labels, unary, kernel):
    return 0.5 * kernel[labels[:, None] != labels].sum()

# %% crf.energy · all labels' unaries
def energy(labels, unary, kernel):
    return unary.sum() + 0.5 * kernel[labels[:, None] != labels].sum()

# %% crf.energy · only neighbours in the list
def energy(labels, unary, kernel):
    n = len(labels)
    return unary[labels, np.arange(n)].sum() + sum(kernel[i, i + 1] for i in range(n - 1) if labels[i] != labels[i + 1])

# %% crf.energy · the best labels instead
def energy(labels, unary, kernel):
    labels = unary.argmin(0)
    return unary[labels, np.arange(len(labels))].sum() + 0.5 * kernel[labels[:, None] != labels].sum()

# %% crf.energy · a probability
def energy(labels, unary, kernel):
    return np.exp(-unary[labels, np.arange(len(labels))].sum() - 0.5 * kernel[labels[:, None] != labels].sum())

# %% crf.energy · a number for every pixel
def energy(labels, unary, kernel):
    return unary[labels, np.arange(len(labels))] + 0.5 * (kernel * (labels[:, None] != labels)).sum(1)

# %% crf.energy · rows of the unary are pixels
def energy(labels, unary, kernel):
    return unary[np.arange(len(labels)), labels].sum() + 0.5 * kernel[labels[:, None] != labels].sum()

# %% crf.trimap_band · with the void
def trimap_band(truth, width):
    return scipy.ndimage.binary_dilation(truth == 255, np.ones((2 * width + 1,) * 2))

# %% crf.trimap_band · the void alone
def trimap_band(truth, width):
    return truth == 255

# %% crf.trimap_band · a diamond
def trimap_band(truth, width):
    return scipy.ndimage.binary_dilation(truth == 255, iterations=width) & (truth != 255)

# %% crf.trimap_band · a disc
def trimap_band(truth, width):
    return (scipy.ndimage.distance_transform_edt(truth != 255) <= width) & (truth != 255)

# %% crf.trimap_band · width on both sides together
def trimap_band(truth, width):
    return scipy.ndimage.binary_dilation(truth == 255, np.ones((width, width))) & (truth != 255)

# %% crf.trimap_band · one too wide
def trimap_band(truth, width):
    return scipy.ndimage.binary_dilation(truth == 255, np.ones((2 * width + 3,) * 2)) & (truth != 255)

# %% crf.trimap_band · wraps round · 2 points
def trimap_band(truth, width):
    void, band = truth == 255, np.zeros(truth.shape, bool)
    for y in range(-width, width + 1):
        for x in range(-width, width + 1):
            band |= np.roll(void, (y, x), (0, 1))
    return band & ~void

# %% crf.trimap_band · edges between classes
def trimap_band(truth, width):
    edge = np.zeros(truth.shape, bool)
    edge[1:] |= truth[1:] != truth[:-1]
    return scipy.ndimage.binary_dilation(edge, np.ones((2 * width + 1,) * 2))

# %% crf.trimap_band · numbers
def trimap_band(truth, width):
    band = scipy.ndimage.binary_dilation(truth == 255, np.ones((2 * width + 1,) * 2)) & (truth != 255)
    return band.astype(int)

# %% crf.trimap_band · the pixels in it
def trimap_band(truth, width):
    band = scipy.ndimage.binary_dilation(truth == 255, np.ones((2 * width + 1,) * 2)) & (truth != 255)
    return truth[band]
