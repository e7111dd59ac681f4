"""The model registry of a Hopsworks cluster."""
