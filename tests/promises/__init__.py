"""Each promise of the design on real parts, quickly: two stories, and the paths that `make test` must keep."""
