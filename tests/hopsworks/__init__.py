"""A Hopsworks cluster in this process, for the unmodified SDK: what a real one is known to answer, and no more."""
