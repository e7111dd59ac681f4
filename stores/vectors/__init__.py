"""Vector sets on disk: written, switched, read by servers, and kept apart by version (P10)."""
