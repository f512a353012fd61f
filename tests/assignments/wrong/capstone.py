# %% capstone.joined · the sum itself
def joined(weights, features):
    return sum(w @ f for w, f in zip(weights, features, strict=True))

# %% capstone.joined · weights stacked in rows
def joined(weights, features):
    return np.vstack(weights), np.vstack(features)

# %% capstone.joined · features side by side
def joined(weights, features):
    return np.hstack(weights), np.hstack(features)

# %% capstone.joined · the other way round
def joined(weights, features):
    return np.vstack(features), np.hstack(weights)

# %% capstone.joined · in reverse
def joined(weights, features):
    return np.hstack(weights[::-1]), np.vstack(features[::-1])

# %% capstone.joined · weights alone
def joined(weights, features):
    return np.hstack(weights)

# %% capstone.joined · lists
def joined(weights, features):
    return weights, features

# %% capstone.joined · mean of features
def joined(weights, features):
    return np.hstack(weights), np.vstack(features) / len(features)

# %% capstone.joined · only two
def joined(weights, features):
    return np.hstack(weights[:1]), np.vstack(features[:1])

# %% capstone.joined · transposed weights
def joined(weights, features):
    return np.hstack(weights).T, np.vstack(features)

# %% capstone.effects · against nothing at all
def effects(table):
    n = table.ndim
    return np.array([table[tuple(int(i == a) for i in range(n))] - table[(0,) * n] for a in range(n)])

# %% capstone.effects · against everything
def effects(table):
    n = table.ndim
    return np.array([table[(1,) * n] - table[tuple(int(i != a) for i in range(n))] for a in range(n)])

# %% capstone.effects · without minus with
def effects(table):
    return np.array([np.take(table, 0, a).mean() - np.take(table, 1, a).mean() for a in range(table.ndim)])

# %% capstone.effects · the mean with it
def effects(table):
    return np.array([np.take(table, 1, a).mean() for a in range(table.ndim)])

# %% capstone.effects · sums
def effects(table):
    return np.array([np.take(table, 1, a).sum() - np.take(table, 0, a).sum() for a in range(table.ndim)])

# %% capstone.effects · halved
def effects(table):
    return np.array([np.take(table, 1, a).mean() - table.mean() for a in range(table.ndim)])

# %% capstone.effects · relative
def effects(table):
    return np.array([np.take(table, 1, a).mean() / np.take(table, 0, a).mean() - 1 for a in range(table.ndim)])

# %% capstone.effects · three parts for ever · 2 points
def effects(table):
    return np.array([np.take(table, 1, a).mean() - np.take(table, 0, a).mean() for a in range(3)])

# %% capstone.effects · the largest gain
def effects(table):
    return np.array([(np.take(table, 1, a) - np.take(table, 0, a)).max() for a in range(table.ndim)])

# %% capstone.effects · the whole table
def effects(table):
    return np.diff(table, axis=0)
