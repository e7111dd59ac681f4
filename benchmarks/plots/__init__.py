"""The pictures of the documentation, drawn from what the code computes: `make plots`."""
