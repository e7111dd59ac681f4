"""Pair labels: read from their group, checked, kept beside the user matrix, and told as rows of it."""
