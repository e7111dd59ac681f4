"""Feature stores, label stores and model registries. The SDK of Hopsworks is imported in this room alone."""
