"""The bridge: change events for a feature group that sends none, found by comparing its snapshots."""
