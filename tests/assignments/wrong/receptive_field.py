# %% receptive_field.size_and_stride · kernel, not kernel less one
def size_and_stride(layers):
    size = jump = 1
    for k, s, r in layers:
        size += k * r * jump
        jump *= s
    return size, jump

# %% receptive_field.size_and_stride · jump too early
def size_and_stride(layers):
    size = jump = 1
    for k, s, r in layers:
        jump *= s
        size += (k - 1) * r * jump
    return size, jump

# %% receptive_field.size_and_stride · ignores the rate · 3 points
def size_and_stride(layers):
    size = jump = 1
    for k, s, _ in layers:
        size += (k - 1) * jump
        jump *= s
    return size, jump

# %% receptive_field.size_and_stride · rate of the kernel, not of the gaps · 3 points
def size_and_stride(layers):
    size = jump = 1
    for k, s, r in layers:
        size += (k * r - 1) * jump
        jump *= s
    return size, jump

# %% receptive_field.size_and_stride · ignores the jump
def size_and_stride(layers):
    size = jump = 1
    for k, s, r in layers:
        size += (k - 1) * r
        jump *= s
    return size, jump

# %% receptive_field.size_and_stride · size only
def size_and_stride(layers):
    size = jump = 1
    for k, s, r in layers:
        size += (k - 1) * r * jump
        jump *= s
    return size

# %% receptive_field.size_and_stride · swapped
def size_and_stride(layers):
    size = jump = 1
    for k, s, r in layers:
        size += (k - 1) * r * jump
        jump *= s
    return jump, size

# %% receptive_field.size_and_stride · begins at zero
def size_and_stride(layers):
    size, jump = 0, 1
    for k, s, r in layers:
        size += (k - 1) * r * jump
        jump *= s
    return size, jump

# %% receptive_field.size_and_stride · rate makes the stride · 3 points
def size_and_stride(layers):
    size = jump = 1
    for k, s, r in layers:
        size += (k - 1) * r * jump
        jump *= s * r
    return size, jump

# %% receptive_field.size_and_stride · the last layer alone
def size_and_stride(layers):
    for k, s, r in layers:
        size, jump = (k - 1) * r + 1, s
    return size, jump

# %% receptive_field.fc_to_conv · channels last
def fc_to_conv(weight, channels):
    side = round((weight.shape[1] / channels) ** 0.5)
    return weight.reshape(-1, side, side, channels)

# %% receptive_field.fc_to_conv · channels last, then moved
def fc_to_conv(weight, channels):
    side = round((weight.shape[1] / channels) ** 0.5)
    return weight.reshape(-1, side, side, channels).permute(0, 3, 1, 2)

# %% receptive_field.fc_to_conv · rows and columns swapped
def fc_to_conv(weight, channels):
    side = round((weight.shape[1] / channels) ** 0.5)
    return weight.reshape(-1, channels, side, side).transpose(2, 3)

# %% receptive_field.fc_to_conv · unchanged
def fc_to_conv(weight, channels):
    return weight

# %% receptive_field.fc_to_conv · 1×1
def fc_to_conv(weight, channels):
    return weight[:, :, None, None]

# %% receptive_field.fc_to_conv · always seven
def fc_to_conv(weight, channels):
    return weight.reshape(-1, channels, 7, 7)

# %% receptive_field.fc_to_conv · forgets the root
def fc_to_conv(weight, channels):
    side = weight.shape[1] // channels
    return weight.reshape(-1, channels, side, side)

# %% receptive_field.fc_to_conv · transposed first
def fc_to_conv(weight, channels):
    side = round((weight.shape[1] / channels) ** 0.5)
    return weight.T.reshape(weight.shape[0], channels, side, side)

# %% receptive_field.fc_to_conv · a layer, not its weights
def fc_to_conv(weight, channels):
    side = round((weight.shape[1] / channels) ** 0.5)
    return torch.nn.Conv2d(channels, weight.shape[0], side)

# %% receptive_field.fc_to_conv · flipped
def fc_to_conv(weight, channels):
    side = round((weight.shape[1] / channels) ** 0.5)
    return weight.reshape(-1, channels, side, side).flip(2, 3)

# %% receptive_field.decimate · the first taps
def decimate(w, taps, outputs):
    return w[:outputs, :, :taps, :taps]

# %% receptive_field.decimate · the middle taps
def decimate(w, taps, outputs):
    start = (w.shape[2] - taps) // 2
    return w[::w.shape[0] // outputs, :, start:start + taps, start:start + taps]

# %% receptive_field.decimate · the first outputs · 2 points
def decimate(w, taps, outputs):
    step = (w.shape[2] - 1) // (taps - 1)
    return w[:outputs, :, ::step, ::step]

# %% receptive_field.decimate · rows only
def decimate(w, taps, outputs):
    step = (w.shape[2] - 1) // (taps - 1)
    return w[::w.shape[0] // outputs, :, ::step]

# %% receptive_field.decimate · always every second · 2 points
def decimate(w, taps, outputs):
    return w[::w.shape[0] // outputs, :, ::2, ::2]

# %% receptive_field.decimate · averages
def decimate(w, taps, outputs):
    return torch.nn.functional.adaptive_avg_pool2d(w[::w.shape[0] // outputs], taps)

# %% receptive_field.decimate · interpolates
def decimate(w, taps, outputs):
    return torch.nn.functional.interpolate(w[::w.shape[0] // outputs], size=(taps, taps), mode="nearest")

# %% receptive_field.decimate · zeros instead of dropping
def decimate(w, taps, outputs):
    step = (w.shape[2] - 1) // (taps - 1)
    kept = torch.zeros_like(w[::w.shape[0] // outputs])
    kept[:, :, ::step, ::step] = w[::w.shape[0] // outputs, :, ::step, ::step]
    return kept

# %% receptive_field.decimate · inputs too · 2 points
def decimate(w, taps, outputs):
    step, every = (w.shape[2] - 1) // (taps - 1), w.shape[0] // outputs
    return w[::every, ::every, ::step, ::step]

# %% receptive_field.decimate · kernel over taps
def decimate(w, taps, outputs):
    step = w.shape[2] // taps
    return w[::w.shape[0] // outputs, :, ::step, ::step]

# %% receptive_field.fc6_cost · no bias
def fc6_cost(kernel, inputs, outputs, positions):
    weights = kernel ** 2 * inputs * outputs
    return weights, weights * positions

# %% receptive_field.fc6_cost · bias multiplied
def fc6_cost(kernel, inputs, outputs, positions):
    weights = kernel ** 2 * inputs * outputs + outputs
    return weights, weights * positions

# %% receptive_field.fc6_cost · kernel along one axis
def fc6_cost(kernel, inputs, outputs, positions):
    weights = kernel * inputs * outputs
    return weights + outputs, weights * positions

# %% receptive_field.fc6_cost · parameters at every position
def fc6_cost(kernel, inputs, outputs, positions):
    weights = kernel ** 2 * inputs * outputs * positions
    return weights + outputs, weights

# %% receptive_field.fc6_cost · a bias for every input
def fc6_cost(kernel, inputs, outputs, positions):
    weights = kernel ** 2 * inputs * outputs
    return weights + inputs, weights * positions

# %% receptive_field.fc6_cost · swapped
def fc6_cost(kernel, inputs, outputs, positions):
    weights = kernel ** 2 * inputs * outputs
    return weights * positions, weights + outputs

# %% receptive_field.fc6_cost · additions too
def fc6_cost(kernel, inputs, outputs, positions):
    weights = kernel ** 2 * inputs * outputs
    return weights + outputs, 2 * weights * positions

# %% receptive_field.fc6_cost · positions squared
def fc6_cost(kernel, inputs, outputs, positions):
    weights = kernel ** 2 * inputs * outputs
    return weights + outputs, weights * positions ** 2

# %% receptive_field.fc6_cost · in millions
def fc6_cost(kernel, inputs, outputs, positions):
    weights = kernel ** 2 * inputs * outputs
    return (weights + outputs) / 1e6, weights * positions / 1e6

# %% receptive_field.fc6_cost · their sum
def fc6_cost(kernel, inputs, outputs, positions):
    weights = kernel ** 2 * inputs * outputs
    return weights + outputs + weights * positions
