"""The container, run for real: `make test-container`."""
