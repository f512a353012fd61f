# %% atrous.insert_holes · returns nothing
def insert_holes(weight, rate):
    weight.repeat(1, 1, rate, rate)

# %% atrous.insert_holes · returns the input
def insert_holes(weight, rate):
    return weight

# %% atrous.insert_holes · keeps the size
def insert_holes(w, r):
    out = torch.zeros_like(w)
    out[:, :, ::r, ::r] = w[:, :, : len(range(0, w.shape[2], r)), : len(range(0, w.shape[3], r))]
    return out

# %% atrous.insert_holes · one hole too many
def insert_holes(w, r):
    o, i, h, v = w.shape
    out = torch.zeros(o, i, h * r, v * r)
    out[:, :, ::r, ::r] = w
    return out

# %% atrous.insert_holes · repeats instead of zeros
def insert_holes(w, r):
    n = w.shape[2] + (w.shape[2] - 1) * (r - 1)
    return torch.nn.functional.interpolate(w, size=(n, n), mode='nearest')

# %% atrous.insert_holes · interpolates
def insert_holes(w, r):
    n = w.shape[2] + (w.shape[2] - 1) * (r - 1)
    return torch.nn.functional.interpolate(w, size=(n, n), mode='bilinear', align_corners=True)

# %% atrous.insert_holes · only rate 2 · 3 points
def insert_holes(w, r):
    if r == 1:
        return w
    o, i, h, v = w.shape
    out = torch.zeros(o, i, 2 * h - 1, 2 * v - 1)
    out[:, :, ::2, ::2] = w
    return out

# %% atrous.insert_holes · holes along one axis
def insert_holes(w, r):
    o, i, h, v = w.shape
    out = torch.zeros(o, i, (h - 1) * r + 1, v)
    out[:, :, ::r] = w
    return out

# %% atrous.insert_holes · index out of range
def insert_holes(w, r):
    o, i, h, v = w.shape
    out = torch.zeros(o, i, (h - 1) * r, (v - 1) * r)
    for y in range(h):
        for x in range(v):
            out[:, :, y * r, x * r] = w[:, :, y, x]
    return out

# %% atrous.insert_holes · integers
def insert_holes(w, r):
    o, i, h, v = w.shape
    out = torch.zeros(o, i, (h - 1) * r + 1, (v - 1) * r + 1, dtype=torch.int64)
    out[:, :, ::r, ::r] = w.long()
    return out

# %% atrous.conv1d · true convolution
def atrous_conv1d(x, w, rate):
    n = len(x) - (len(w) - 1) * rate
    return sum(w[::-1][k] * x[rate * k : rate * k + n] for k in range(len(w)))

# %% atrous.conv1d · same size
def atrous_conv1d(x, w, rate):
    p = np.pad(x, (len(w) - 1) * rate // 2)
    return sum(w[k] * p[rate * k : rate * k + len(x)] for k in range(len(w)))

# %% atrous.conv1d · ignores the rate · 1 point
def atrous_conv1d(x, w, rate):
    return np.correlate(x, w, 'valid')

# %% atrous.conv1d · strides the output · 1 point
def atrous_conv1d(x, w, rate):
    return np.correlate(x, w, 'valid')[::rate]

# %% atrous.conv1d · wraps around
def atrous_conv1d(x, w, rate):
    n = len(x) - (len(w) - 1) * rate
    return sum(w[k] * np.roll(x, rate * k)[:n] for k in range(len(w)))

# %% atrous.conv1d · one too short
def atrous_conv1d(x, w, rate):
    n = len(x) - len(w) * rate
    return sum(w[k] * x[rate * k : rate * k + n] for k in range(len(w)))

# %% atrous.conv1d · runs off the end
def atrous_conv1d(x, w, rate):
    return np.array([sum(w[k] * x[i + k * rate] for k in range(len(w)))
                     for i in range(len(x))])

# %% atrous.conv1d · prints instead of returning
def atrous_conv1d(x, w, rate):
    print(np.correlate(x, w, 'valid'))

# %% atrous.conv1d · only three taps · 3 points
def atrous_conv1d(x, w, rate):
    n = len(x) - 2 * rate
    return w[0] * x[:n] + w[1] * x[rate : rate + n] + w[2] * x[2 * rate : 2 * rate + n]

# %% atrous.conv1d · sums to one number
def atrous_conv1d(x, w, rate):
    return sum(w[k] * x[rate * k] for k in range(len(w)))

# %% atrous.conv2d · flipped filter
def atrous_conv2d(x, w, rate):
    return torch.nn.functional.conv2d(x[None], w.flip(2, 3), dilation=rate)[0]

# %% atrous.conv2d · keeps the batch
def atrous_conv2d(x, w, rate):
    return torch.nn.functional.conv2d(x[None], w, dilation=rate)

# %% atrous.conv2d · same size
def atrous_conv2d(x, w, rate):
    return torch.nn.functional.conv2d(x[None], w, dilation=rate, padding="same")[0]

# %% atrous.conv2d · stride instead of rate · 1 point
def atrous_conv2d(x, w, rate):
    return torch.nn.functional.conv2d(x[None], w, stride=rate)[0]

# %% atrous.conv2d · ignores the rate · 1 point
def atrous_conv2d(x, w, rate):
    return torch.nn.functional.conv2d(x[None], w)[0]

# %% atrous.conv2d · rate along rows only · 1 point
def atrous_conv2d(x, w, rate):
    return torch.nn.functional.conv2d(x[None], w, dilation=(rate, 1))[0]

# %% atrous.conv2d · does not sum over channels
def atrous_conv2d(x, w, rate):
    return torch.nn.functional.conv2d(x[:1][None], w[:, :1], dilation=rate)[0]

# %% atrous.conv2d · only 3×3 · 3 points
def atrous_conv2d(x, w, rate):
    h, v = x.shape[1] - 2 * rate, x.shape[2] - 2 * rate
    return sum(torch.einsum("oi,ihw->ohw", w[:, :, r, c], x[:, r * rate:r * rate + h, c * rate:c * rate + v])
               for r in range(3) for c in range(3))

# %% atrous.conv2d · mean over channels
def atrous_conv2d(x, w, rate):
    return torch.nn.functional.conv2d(x[None], w, dilation=rate)[0] / x.shape[0]

# %% atrous.conv2d · transposed weight
def atrous_conv2d(x, w, rate):
    return torch.nn.functional.conv2d(x[None], w.transpose(0, 1), dilation=rate)[0]

# %% atrous.rates · opens the layer that lost its stride
def rates(strides, output_stride):
    old = new = 1
    plan = []
    for s in strides:
        kept = s if new * s <= output_stride else 1
        old, new = old * s, new * kept
        plan.append((kept, old // new))
    return plan

# %% atrous.rates · always rate two
def rates(strides, output_stride):
    new, plan, lost = 1, [], False
    for s in strides:
        kept = s if new * s <= output_stride else 1
        plan.append((kept, 2 if lost else 1))
        lost, new = lost or kept != s, new * kept
    return plan

# %% atrous.rates · rates only
def rates(strides, output_stride):
    old = new = 1
    plan = []
    for s in strides:
        plan.append(old // new)
        kept = s if new * s <= output_stride else 1
        old, new = old * s, new * kept
    return plan

# %% atrous.rates · pairs the other way
def rates(strides, output_stride):
    old = new = 1
    plan = []
    for s in strides:
        kept = s if new * s <= output_stride else 1
        plan.append((old // new, kept))
        old, new = old * s, new * kept
    return plan

# %% atrous.rates · forgets the strides
def rates(strides, output_stride):
    return [(s, 1) for s in strides]

# %% atrous.rates · drops every stride
def rates(strides, output_stride):
    old, plan = 1, []
    for s in strides:
        plan.append((1, old))
        old *= s
    return plan

# %% atrous.rates · one stride too early
def rates(strides, output_stride):
    old = new = 1
    plan = []
    for s in strides:
        kept = s if new * s < output_stride else 1
        plan.append((kept, old // new))
        old, new = old * s, new * kept
    return plan

# %% atrous.rates · true division
def rates(strides, output_stride):
    old = new = 1
    plan = []
    for s in strides:
        kept = s if new * s <= output_stride else 1
        plan.append((kept, old / new))
        old, new = old * s, new * kept
    return plan

# %% atrous.rates · the jump as rate
def rates(strides, output_stride):
    old = new = 1
    plan = []
    for s in strides:
        kept = s if new * s <= output_stride else 1
        plan.append((kept, new))
        old, new = old * s, new * kept
    return plan

# %% atrous.rates · removes the first strides
def rates(strides, output_stride):
    total = 1
    for s in strides:
        total *= s
    plan, old, new = [], 1, 1
    for s in strides:
        kept = 1 if total > output_stride else s
        total //= s // kept
        plan.append((kept, old // new))
        old, new = old * s, new * kept
    return plan
