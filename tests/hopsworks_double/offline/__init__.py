"""The offline store, read through the query service (Arrow Flight)."""
