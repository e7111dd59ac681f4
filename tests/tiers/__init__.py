"""What `make test` runs and what only `make test-all` does, how long that takes, and whether it comes out the same."""
