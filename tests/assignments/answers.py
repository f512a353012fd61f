"""A worked solution of every exercise, and ten typical wrong answers each with the points they earn."""

IMPORTS = "import numpy as np\nimport torch\n"

SOLUTIONS = {
    "atrous.insert_holes": """
def insert_holes(weight, rate):
    o, i, h, w = weight.shape
    out = weight.new_zeros(o, i, h + (h - 1) * (rate - 1), w + (w - 1) * (rate - 1))
    out[:, :, ::rate, ::rate] = weight
    return out
""",
    "atrous.conv1d": """
def atrous_conv1d(x, w, rate):
    n = len(x) - (len(w) - 1) * rate
    return sum(w[k] * x[rate * k : rate * k + n] for k in range(len(w)))
""",
    "pooling.output_size": """
def output_size(size, kernel, stride, padding, ceil_mode):
    room = size + 2 * padding - kernel
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    return count
""",
    "training.mean_iou": """
def mean_iou(confusion):
    hit = np.diag(confusion)
    union = confusion.sum(0) + confusion.sum(1) - hit
    return float((hit / np.maximum(union, 1)).mean())
""",
    "training.poly_rate": """
def poly_rate(base, step, steps, power):
    return base * (1 - step / steps) ** power
""",
    "crf.mean_field_step": """
def mean_field_step(q, unary, kernel):
    message = q @ kernel.T
    energy = unary + message.sum(0) - message
    energy = energy - energy.min(0)
    new = np.exp(-energy)
    return new / new.sum(0)
""",
}

# exercise -> {what is wrong: (source, points of 5)}
WRONG = {
    "atrous.insert_holes": {
        "returns nothing": ("def insert_holes(weight, rate):\n    weight.repeat(1, 1, rate, rate)\n", 0),
        "returns the input": ("def insert_holes(weight, rate):\n    return weight\n", 1),
        "keeps the size": (
            "def insert_holes(w, r):\n    out = torch.zeros_like(w)\n"
            "    out[:, :, ::r, ::r] = w[:, :, : len(range(0, w.shape[2], r)), : len(range(0, "
            "w.shape[3], r))]\n"
            "    return out\n", 1),
        "one hole too many": (
            "def insert_holes(w, r):\n    o, i, h, v = w.shape\n    out = torch.zeros(o, i, h * r, v * r)\n"
            "    out[:, :, ::r, ::r] = w\n    return out\n", 1),
        "repeats instead of zeros": (
            "def insert_holes(w, r):\n    n = w.shape[2] + (w.shape[2] - 1) * (r - 1)\n"
            "    return torch.nn.functional.interpolate(w, size=(n, n), mode='nearest')\n", 1),
        "interpolates": (
            "def insert_holes(w, r):\n    n = w.shape[2] + (w.shape[2] - 1) * (r - 1)\n"
            "    return torch.nn.functional."
            "interpolate(w, size=(n, n), mode='bilinear', align_corners=True)\n", 1),
        "only rate 2": (
            "def insert_holes(w, r):\n    if r == 1:\n        return w\n    o, i, h, v = w.shape\n"
            "    out = torch.zeros(o, i, 2 * h - 1, 2 * v - 1)\n"
            "    out[:, :, ::2, ::2] = w\n    return out\n", 3),
        "holes along one axis": (
            "def insert_holes(w, r):\n    o, i, h, v = w.shape\n"
            "    out = torch.zeros(o, i, (h - 1) * r + 1, v)\n"
            "    out[:, :, ::r] = w\n    return out\n", 1),
        "index out of range": (
            "def insert_holes(w, r):\n    o, i, h, v = w.shape\n"
            "    out = torch.zeros(o, i, (h - 1) * r, (v - 1) * r)\n"
            "    for y in range(h):\n        for x in range(v):\n"
            "            out[:, :, y * r, x * r] = w[:, :, y, x]\n"
            "    return out\n", 0),
        "integers": (
            "def insert_holes(w, r):\n    o, i, h, v = w.shape\n"
            "    out = torch.zeros(o, i, (h - 1) * r + 1, (v - 1) * r + 1, dtype=torch.int64)\n"
            "    out[:, :, ::r, ::r] = w.long()\n    return out\n", 0),
    },
    "atrous.conv1d": {
        "true convolution": (
            "def atrous_conv1d(x, w, rate):\n    n = len(x) - (len(w) - 1) * rate\n"
            "    return sum(w[::-1][k] * x[rate * k : rate * k + n] for k in range(len(w)))\n", 0),
        "same size": (
            "def atrous_conv1d(x, w, rate):\n    p = np.pad(x, (len(w) - 1) * rate // 2)\n"
            "    return sum(w[k] * p[rate * k : rate * k + len(x)] for k in range(len(w)))\n", 0),
        "ignores the rate": ("def atrous_conv1d(x, w, rate):\n    return np.correlate(x, w, 'valid')\n", 1),
        "strides the output": (
            "def atrous_conv1d(x, w, rate):\n    return np.correlate(x, w, 'valid')[::rate]\n", 1),
        "wraps around": (
            "def atrous_conv1d(x, w, rate):\n    n = len(x) - (len(w) - 1) * rate\n"
            "    return sum(w[k] * np.roll(x, rate * k)[:n] for k in range(len(w)))\n", 0),
        "one too short": (
            "def atrous_conv1d(x, w, rate):\n    n = len(x) - len(w) * rate\n"
            "    return sum(w[k] * x[rate * k : rate * k + n] for k in range(len(w)))\n", 0),
        "runs off the end": (
            "def atrous_conv1d(x, w, rate):\n"
            "    return np.array([sum(w[k] * x[i + k * rate] for k in range(len(w)))\n"
            "                     for i in range(len(x))])\n", 0),
        "prints instead of returning": (
            "def atrous_conv1d(x, w, rate):\n    print(np.correlate(x, w, 'valid'))\n", 0),
        "only three taps": (
            "def atrous_conv1d(x, w, rate):\n    n = len(x) - 2 * rate\n"
            "    return w[0] * x[:n] + w[1] * x[rate : rate + n] + w[2] * x[2 * rate : 2 * rate + n]\n", 3),
        "sums to one number": (
            "def atrous_conv1d(x, w, rate):\n    return sum(w[k] * x[rate * k] for k in range(len(w)))\n", 0),
    },
    "pooling.output_size": {
        "forgets the one": (
            "def output_size(size, kernel, stride, padding, ceil_mode):\n"
            "    return (size + 2 * padding - kernel) // stride\n", 0),
        "padding once": (
            "def output_size(size, kernel, stride, padding, ceil_mode):\n"
            "    return (size + padding - kernel) // stride + 1\n", 2),
        "always floors": (
            "def output_size(size, kernel, stride, padding, ceil_mode):\n"
            "    return (size + 2 * padding - kernel) // stride + 1\n", 3),
        "true division": (
            "def output_size(size, kernel, stride, padding, ceil_mode):\n"
            "    return (size + 2 * padding - kernel) / stride + 1\n", 0),
        "size over stride": (
            "def output_size(size, kernel, stride, padding, ceil_mode):\n    return size // stride\n", 0),
        "a pair": (
            "def output_size(size, kernel, stride, padding, ceil_mode):\n"
            "    n = (size + 2 * padding - kernel) // stride + 1\n    return n, n\n", 0),
        "misses an argument": (
            "def output_size(size, kernel, stride, padding):\n"
            "    return (size + 2 * padding - kernel) // stride + 1\n", 0),
        "always rounds up": (
            "def output_size(size, kernel, stride, padding, ceil_mode):\n"
            "    return size // stride + 40\n", 0),
        "text": (
            "def output_size(size, kernel, stride, padding, ceil_mode):\n"
            "    return str((size + 2 * padding - kernel) // stride + 1)\n", 0),
        "a typo": (
            "def output_size(size, kernel, stride, padding, ceil_mode):\n"
            "    return (size + 2 * pading - kernel) // stride + 1\n", 0),
    },
    "training.mean_iou": {
        "pixel accuracy": ("def mean_iou(c):\n    return np.diag(c).sum() / c.sum()\n", 0),
        "class accuracy": ("def mean_iou(c):\n    return (np.diag(c) / np.maximum(c.sum(1), 1)).mean()\n", 0),
        "precision": ("def mean_iou(c):\n    return (np.diag(c) / np.maximum(c.sum(0), 1)).mean()\n", 0),
        "union counts hits twice": (
            "def mean_iou(c):\n    return (np.diag(c) / np.maximum(c.sum(0) + c.sum(1), 1)).mean()\n", 0),
        "not the mean": (
            "def mean_iou(c):\n    return np.diag(c) / np.maximum(c.sum(0) + c.sum(1) - np.diag(c), 1)\n", 0),
        "nan where absent": (
            "def mean_iou(c):\n    return np.mean(np.diag(c) / (c.sum(0) + c.sum(1) - np.diag(c)))\n", 3),
        "skips the absent": (
            "def mean_iou(c):\n    u = c.sum(0) + c.sum(1) - np.diag(c)\n"
            "    return (np.diag(c)[u > 0] / u[u > 0]).mean()\n", 3),
        "absent counts one": (
            "def mean_iou(c):\n    u = c.sum(0) + c.sum(1) - np.diag(c)\n"
            "    return np.where(u > 0, np.diag(c) / np.maximum(u, 1), 1.0).mean()\n", 3),
        "skips the background": (
            "def mean_iou(c):\n    u = np.maximum(c.sum(0) + c.sum(1) - np.diag(c), 1)\n"
            "    return (np.diag(c) / u)[1:].mean()\n", 0),
        "per cent": (
            "def mean_iou(c):\n    u = np.maximum(c.sum(0) + c.sum(1) - np.diag(c), 1)\n"
            "    return 100 * (np.diag(c) / u).mean()\n", 0),
    },
    "training.poly_rate": {
        "integer division": ("def poly_rate(b, s, n, p):\n    return b * (1 - s // n) ** p\n", 2),
        "linear": ("def poly_rate(b, s, n, p):\n    return b * (1 - s / n)\n", 2),
        "constant": ("def poly_rate(b, s, n, p):\n    return b\n", 0),
        "upside down": ("def poly_rate(b, s, n, p):\n    return b * (s / n) ** p\n", 0),
        "power outside": ("def poly_rate(b, s, n, p):\n    return (b * (1 - s / n)) ** p\n", 0),
        "exponential": ("def poly_rate(b, s, n, p):\n    return b * p ** (s / n)\n", 0),
        "steps of ten": ("def poly_rate(b, s, n, p):\n    return b * 0.1 ** (s // 2000)\n", 0),
        "one step late": ("def poly_rate(b, s, n, p):\n    return b * (1 - (s + 1) / (n + 1)) ** p\n", 0),
        "a list": ("def poly_rate(b, s, n, p):\n    return [b * (1 - i / n) ** p for i in range(n)]\n", 0),
        "forgets the base": ("def poly_rate(b, s, n, p):\n    return (1 - s / n) ** p\n", 0),
    },
    "crf.mean_field_step": {
        "wrong sign": (
            "def mean_field_step(q, u, k):\n    m = q @ k\n    e = u + m\n    n = np.exp(e.min(0) - e)\n"
            "    return n / n.sum(0)\n", 0),
        "no message": (
            "def mean_field_step(q, u, k):\n    n = np.exp(u.min(0) - u)\n    return n / n.sum(0)\n", 0),
        "not normalised": (
            "def mean_field_step(q, u, k):\n    m = q @ k\n    return np.exp(-(u + m.sum(0) - m))\n", 0),
        "over pixels": (
            "def mean_field_step(q, u, k):\n    m = q @ k\n    e = u + m.sum(0) - m\n"
            "    n = np.exp(e.min(0) - e)\n"
            "    return n / n.sum(1, keepdims=True)\n", 0),
        "overflows": (
            "def mean_field_step(q, u, k):\n    m = q @ k\n    n = np.exp(-(u + m.sum(0) - m - 700))\n"
            "    return n / n.sum(0)\n", 4),
        "transposed": (
            "def mean_field_step(q, u, k):\n    m = q @ k\n    e = u + m.sum(0) - m\n"
            "    n = np.exp(e.min(0) - e)\n"
            "    return (n / n.sum(0)).T\n", 0),
        "the labels": (
            "def mean_field_step(q, u, k):\n    m = q @ k\n    return (u + m.sum(0) - m).argmin(0)\n", 0),
        "forgets the unary": (
            "def mean_field_step(q, u, k):\n    m = q @ k\n    e = m.sum(0) - m\n"
            "    n = np.exp(e.min(0) - e)\n"
            "    return n / n.sum(0)\n", 0),
        "mixes shapes": ("def mean_field_step(q, u, k):\n    return k @ q\n", 0),
        "two labels only": (
            "def mean_field_step(q, u, k):\n    m = q @ k\n    e = u + m[::-1]\n"
            "    n = np.exp(e.min(0) - e)\n"
            "    return n / n.sum(0)\n", 2),
    },
}
