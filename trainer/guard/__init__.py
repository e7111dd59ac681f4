"""Whether the data are to be believed."""
