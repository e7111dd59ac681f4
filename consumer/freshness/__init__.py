"""The freshness promise: how old a change may be before the champion has learned it, and whether that is kept."""
