"""The commands that say what can be named, and bring it here: `covey list` and `covey models`."""
