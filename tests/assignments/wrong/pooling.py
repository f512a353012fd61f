# %% pooling.output_size · forgets the one
def output_size(size, kernel, stride, padding, ceil_mode):
    return (size + 2 * padding - kernel) // stride

# %% pooling.output_size · padding once · 2 points
def output_size(size, kernel, stride, padding, ceil_mode):
    return (size + padding - kernel) // stride + 1

# %% pooling.output_size · always floors · 3 points
def output_size(size, kernel, stride, padding, ceil_mode):
    return (size + 2 * padding - kernel) // stride + 1

# %% pooling.output_size · true division
def output_size(size, kernel, stride, padding, ceil_mode):
    return (size + 2 * padding - kernel) / stride + 1

# %% pooling.output_size · size over stride
def output_size(size, kernel, stride, padding, ceil_mode):
    return size // stride

# %% pooling.output_size · a pair
def output_size(size, kernel, stride, padding, ceil_mode):
    n = (size + 2 * padding - kernel) // stride + 1
    return n, n

# %% pooling.output_size · misses an argument
def output_size(size, kernel, stride, padding):
    return (size + 2 * padding - kernel) // stride + 1

# %% pooling.output_size · always rounds up
def output_size(size, kernel, stride, padding, ceil_mode):
    return size // stride + 40

# %% pooling.output_size · text
def output_size(size, kernel, stride, padding, ceil_mode):
    return str((size + 2 * padding - kernel) // stride + 1)

# %% pooling.output_size · a typo
def output_size(size, kernel, stride, padding, ceil_mode):
    return (size + 2 * pading - kernel) // stride + 1

# %% pooling.map_sizes · keeps the image's own size
def map_sizes(size, layers):
    sizes = [size]
    for k, s, p in layers:
        sizes.append((sizes[-1] + 2 * p - k) // s + 1)
    return sizes

# %% pooling.map_sizes · only the last
def map_sizes(size, layers):
    for k, s, p in layers:
        size = (size + 2 * p - k) // s + 1
    return size

# %% pooling.map_sizes · always the image's size
def map_sizes(size, layers):
    return [(size + 2 * p - k) // s + 1 for k, s, p in layers]

# %% pooling.map_sizes · only the stride counts · 2 points
def map_sizes(size, layers):
    sizes = []
    for _, s, _ in layers:
        size = size // s
        sizes.append(size)
    return sizes

# %% pooling.map_sizes · padding once · 2 points
def map_sizes(size, layers):
    sizes = []
    for k, s, p in layers:
        size = (size + p - k) // s + 1
        sizes.append(size)
    return sizes

# %% pooling.map_sizes · rounds up
def map_sizes(size, layers):
    sizes = []
    for k, s, p in layers:
        size = -(-(size + 2 * p - k) // s) + 1
        sizes.append(size)
    return sizes

# %% pooling.map_sizes · forgets the one
def map_sizes(size, layers):
    sizes = []
    for k, s, p in layers:
        size = (size + 2 * p - k) // s
        sizes.append(size)
    return sizes

# %% pooling.map_sizes · stride and padding swapped
def map_sizes(size, layers):
    sizes = []
    for k, p, s in layers:
        size = (size + 2 * p - k) // s + 1
        sizes.append(size)
    return sizes

# %% pooling.map_sizes · true division
def map_sizes(size, layers):
    sizes = []
    for k, s, p in layers:
        size = (size + 2 * p - k) / s + 1
        sizes.append(size)
    return sizes

# %% pooling.map_sizes · prints
def map_sizes(size, layers):
    for k, s, p in layers:
        size = (size + 2 * p - k) // s + 1
        print(size)

# %% pooling.max_pool2d · average
def max_pool2d(x, k, s):
    rows, columns = range(0, x.shape[0] - k + 1, s), range(0, x.shape[1] - k + 1, s)
    return np.array([[x[r:r + k, c:c + k].mean() for c in columns] for r in rows])

# %% pooling.max_pool2d · picks the corner
def max_pool2d(x, k, s):
    return x[:x.shape[0] - k + 1:s, :x.shape[1] - k + 1:s]

# %% pooling.max_pool2d · windows hang over · 2 points
def max_pool2d(x, k, s):
    return np.array([[x[r:r + k, c:c + k].max() for c in range(0, x.shape[1], s)] for r in range(0, x.shape[0], s)])

# %% pooling.max_pool2d · stride is always the kernel · 2 points
def max_pool2d(x, k, s):
    rows, columns = range(0, x.shape[0] - k + 1, k), range(0, x.shape[1] - k + 1, k)
    return np.array([[x[r:r + k, c:c + k].max() for c in columns] for r in rows])

# %% pooling.max_pool2d · one window short · 1 point
def max_pool2d(x, k, s):
    rows, columns = range(0, x.shape[0] - k, s), range(0, x.shape[1] - k, s)
    return np.array([[x[r:r + k, c:c + k].max() for c in columns] for r in rows])

# %% pooling.max_pool2d · starts the maximum at zero · 1 point
def max_pool2d(x, k, s):
    rows, columns = range(0, x.shape[0] - k + 1, s), range(0, x.shape[1] - k + 1, s)
    return np.array([[max(0, x[r:r + k, c:c + k].max()) for c in columns] for r in rows])

# %% pooling.max_pool2d · of absolute values
def max_pool2d(x, k, s):
    return max_pool(np.abs(x), k, s)


def max_pool(x, k, s):
    rows, columns = range(0, x.shape[0] - k + 1, s), range(0, x.shape[1] - k + 1, s)
    return np.array([[x[r:r + k, c:c + k].max() for c in columns] for r in rows])

# %% pooling.max_pool2d · transposed
def max_pool2d(x, k, s):
    rows, columns = range(0, x.shape[0] - k + 1, s), range(0, x.shape[1] - k + 1, s)
    return np.array([[x[r:r + k, c:c + k].max() for r in rows] for c in columns])

# %% pooling.max_pool2d · rows only
def max_pool2d(x, k, s):
    return np.array([x[r:r + k].max(0) for r in range(0, x.shape[0] - k + 1, s)])

# %% pooling.max_pool2d · gives back where
def max_pool2d(x, k, s):
    rows, columns = range(0, x.shape[0] - k + 1, s), range(0, x.shape[1] - k + 1, s)
    return np.array([[x[r:r + k, c:c + k].argmax() for c in columns] for r in rows])

# %% pooling.upsample · repeats
def upsample(s, f):
    return s.repeat(f, 0).repeat(f, 1)

# %% pooling.upsample · corners not aligned
def upsample(s, f):
    size = [(n - 1) * f + 1 for n in s.shape]
    return torch.nn.functional.interpolate(torch.tensor(s)[None, None], size=size, mode="bilinear")[0, 0]

# %% pooling.upsample · size times factor
def upsample(s, f):
    size = [n * f for n in s.shape]
    return torch.nn.functional.interpolate(torch.tensor(s)[None, None], size=size, mode="bilinear",
                                           align_corners=True)[0, 0]

# %% pooling.upsample · keeps the batch
def upsample(s, f):
    size = [(n - 1) * f + 1 for n in s.shape]
    return torch.nn.functional.interpolate(torch.tensor(s)[None, None], size=size, mode="bilinear",
                                           align_corners=True)

# %% pooling.upsample · no batch for torch
def upsample(s, f):
    return torch.nn.functional.interpolate(s, scale_factor=f, mode="bilinear", align_corners=True)

# %% pooling.upsample · rows only
def upsample(s, f):
    at = np.arange((s.shape[1] - 1) * f + 1) / f
    return np.array([np.interp(at, np.arange(s.shape[1]), row) for row in s])

# %% pooling.upsample · nearest with the right size
def upsample(s, f):
    rows = np.round(np.arange((s.shape[0] - 1) * f + 1) / f).astype(int)
    columns = np.round(np.arange((s.shape[1] - 1) * f + 1) / f).astype(int)
    return s[rows][:, columns]

# %% pooling.upsample · zeros between
def upsample(s, f):
    out = np.zeros([(n - 1) * f + 1 for n in s.shape])
    out[::f, ::f] = s
    return out

# %% pooling.upsample · cubic
def upsample(s, f):
    size = [(n - 1) * f + 1 for n in s.shape]
    return torch.nn.functional.interpolate(torch.tensor(s)[None, None], size=size, mode="bicubic",
                                           align_corners=True)[0, 0]

# %% pooling.upsample · always eight times · 2 points
def upsample(s, f):
    size = [(n - 1) * 8 + 1 for n in s.shape]
    return torch.nn.functional.interpolate(torch.tensor(s)[None, None], size=size, mode="bilinear",
                                           align_corners=True)[0, 0]
