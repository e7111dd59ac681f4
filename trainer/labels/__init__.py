"""Pair labels: read from their group, checked, kept beside the user matrix, and read as rows of it."""
