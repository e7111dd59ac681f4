"""The life of a cycle, from its claim to its settlement: states, events, actions, and the step between two states."""
