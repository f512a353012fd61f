# %% training.mean_iou · pixel accuracy
def mean_iou(c):
    return np.diag(c).sum() / c.sum()

# %% training.mean_iou · class accuracy
def mean_iou(c):
    return (np.diag(c) / np.maximum(c.sum(1), 1)).mean()

# %% training.mean_iou · precision
def mean_iou(c):
    return (np.diag(c) / np.maximum(c.sum(0), 1)).mean()

# %% training.mean_iou · union counts hits twice
def mean_iou(c):
    return (np.diag(c) / np.maximum(c.sum(0) + c.sum(1), 1)).mean()

# %% training.mean_iou · not the mean
def mean_iou(c):
    return np.diag(c) / np.maximum(c.sum(0) + c.sum(1) - np.diag(c), 1)

# %% training.mean_iou · nan where absent · 3 points
def mean_iou(c):
    return np.mean(np.diag(c) / (c.sum(0) + c.sum(1) - np.diag(c)))

# %% training.mean_iou · skips the absent · 3 points
def mean_iou(c):
    u = c.sum(0) + c.sum(1) - np.diag(c)
    return (np.diag(c)[u > 0] / u[u > 0]).mean()

# %% training.mean_iou · absent counts one · 3 points
def mean_iou(c):
    u = c.sum(0) + c.sum(1) - np.diag(c)
    return np.where(u > 0, np.diag(c) / np.maximum(u, 1), 1.0).mean()

# %% training.mean_iou · skips the background
def mean_iou(c):
    u = np.maximum(c.sum(0) + c.sum(1) - np.diag(c), 1)
    return (np.diag(c) / u)[1:].mean()

# %% training.mean_iou · per cent
def mean_iou(c):
    u = np.maximum(c.sum(0) + c.sum(1) - np.diag(c), 1)
    return 100 * (np.diag(c) / u).mean()

# %% training.poly_rate · integer division · 2 points
def poly_rate(b, s, n, p):
    return b * (1 - s // n) ** p

# %% training.poly_rate · linear · 2 points
def poly_rate(b, s, n, p):
    return b * (1 - s / n)

# %% training.poly_rate · constant
def poly_rate(b, s, n, p):
    return b

# %% training.poly_rate · upside down
def poly_rate(b, s, n, p):
    return b * (s / n) ** p

# %% training.poly_rate · power outside
def poly_rate(b, s, n, p):
    return (b * (1 - s / n)) ** p

# %% training.poly_rate · exponential
def poly_rate(b, s, n, p):
    return b * p ** (s / n)

# %% training.poly_rate · steps of ten
def poly_rate(b, s, n, p):
    return b * 0.1 ** (s // 2000)

# %% training.poly_rate · one step late
def poly_rate(b, s, n, p):
    return b * (1 - (s + 1) / (n + 1)) ** p

# %% training.poly_rate · a list
def poly_rate(b, s, n, p):
    return [b * (1 - i / n) ** p for i in range(n)]

# %% training.poly_rate · forgets the base
def poly_rate(b, s, n, p):
    return (1 - s / n) ** p

# %% training.stride_loss · sum
def stride_loss(scores, labels, stride):
    return float(torch.nn.functional.cross_entropy(scores[None], labels[::stride, ::stride][None], ignore_index=255,
                                                   reduction="sum"))

# %% training.stride_loss · void counted in the mean · 2 points
def stride_loss(scores, labels, stride):
    small = labels[::stride, ::stride]
    return float(torch.nn.functional.cross_entropy(scores[None], small[None], ignore_index=255,
                                                   reduction="sum")) / small.numel()

# %% training.stride_loss · void as background · 2 points
def stride_loss(scores, labels, stride):
    small = labels[::stride, ::stride].clone()
    small[small == 255] = 0
    return float(torch.nn.functional.cross_entropy(scores[None], small[None]))

# %% training.stride_loss · void not handled · 2 points
def stride_loss(scores, labels, stride):
    return float(torch.nn.functional.cross_entropy(scores[None], labels[::stride, ::stride][None]))

# %% training.stride_loss · upsamples the scores
def stride_loss(scores, labels, stride):
    large = torch.nn.functional.interpolate(scores[None], size=tuple(labels.shape), mode="bilinear",
                                            align_corners=True)
    return float(torch.nn.functional.cross_entropy(large, labels[None], ignore_index=255))

# %% training.stride_loss · the first labels
def stride_loss(scores, labels, stride):
    small = labels[:scores.shape[1], :scores.shape[2]]
    return float(torch.nn.functional.cross_entropy(scores[None], small[None], ignore_index=255))

# %% training.stride_loss · labels as they are
def stride_loss(scores, labels, stride):
    return float(torch.nn.functional.cross_entropy(scores[None], labels[None], ignore_index=255))

# %% training.stride_loss · softmax over positions
def stride_loss(scores, labels, stride):
    small = labels[::stride, ::stride]
    logs = torch.log_softmax(scores.flatten(1), 1).reshape(scores.shape)
    valid = small != 255
    return float(-logs.permute(1, 2, 0)[valid].gather(1, small[valid][:, None]).mean())

# %% training.stride_loss · softmax twice
def stride_loss(scores, labels, stride):
    small = labels[::stride, ::stride]
    return float(torch.nn.functional.cross_entropy(torch.softmax(scores, 0)[None], small[None], ignore_index=255))

# %% training.stride_loss · a map, not its mean
def stride_loss(scores, labels, stride):
    small = labels[::stride, ::stride]
    return torch.nn.functional.cross_entropy(scores[None], small[None], ignore_index=255, reduction="none")[0]

# %% training.confusion · transposed
def confusion(prediction, truth, classes):
    valid = truth != 255
    pairs = classes * prediction[valid] + truth[valid]
    return np.bincount(pairs, minlength=classes ** 2).reshape(classes, classes)

# %% training.confusion · void counted · 2 points
def confusion(prediction, truth, classes):
    pairs = classes * truth.ravel() + prediction.ravel()
    return np.bincount(pairs, minlength=classes ** 2).reshape(classes, classes)

# %% training.confusion · void as background · 2 points
def confusion(prediction, truth, classes):
    truth = np.where(truth == 255, 0, truth)
    return np.bincount(classes * truth.ravel() + prediction.ravel(), minlength=classes ** 2).reshape(classes, classes)

# %% training.confusion · shares
def confusion(prediction, truth, classes):
    valid = truth != 255
    pairs = classes * truth[valid] + prediction[valid]
    return np.bincount(pairs, minlength=classes ** 2).reshape(classes, classes) / valid.sum()

# %% training.confusion · the diagonal alone
def confusion(prediction, truth, classes):
    return np.array([int(((truth == c) & (prediction == c)).sum()) for c in range(classes)])

# %% training.confusion · yes or no
def confusion(prediction, truth, classes):
    counts = np.zeros((classes, classes), dtype=int)
    valid = truth != 255
    counts[truth[valid], prediction[valid]] = 1
    return counts

# %% training.confusion · adds each pair once
def confusion(prediction, truth, classes):
    counts = np.zeros((classes, classes), dtype=int)
    valid = truth != 255
    counts[truth[valid], prediction[valid]] += 1
    return counts

# %% training.confusion · one class short
def confusion(prediction, truth, classes):
    counts = np.zeros((classes - 1, classes - 1), dtype=int)
    for t, p in zip(truth.ravel(), prediction.ravel(), strict=True):
        if 0 < t < 255 and p > 0:
            counts[t - 1, p - 1] += 1
    return counts

# %% training.confusion · forgets to return
def confusion(prediction, truth, classes):
    valid = truth != 255
    np.bincount(classes * truth[valid] + prediction[valid], minlength=classes ** 2)

# %% training.confusion · flat
def confusion(prediction, truth, classes):
    valid = truth != 255
    return np.bincount(classes * truth[valid] + prediction[valid], minlength=classes ** 2)
