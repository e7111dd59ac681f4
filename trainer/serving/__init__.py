"""What a version is served as: a SavedModel, and the requests that warm it up."""
