"""Label stores: adapters, reading, and the check of each label."""
