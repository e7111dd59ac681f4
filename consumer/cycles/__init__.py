"""When a cycle starts, which instance may start it, and its life until it is settled."""
