"""Pure functions: arrays in, RGB arrays or matplotlib figures out."""
