"""Versions as TensorFlow Serving takes them: a SavedModel with warm-up requests, put in place by one rename."""
