"""The bridge: change events for a feature group that sends none, from a comparison of its snapshots."""
