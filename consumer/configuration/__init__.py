"""Settings as people write them: found in the environment and a file, cleaned, and explained where they are wrong."""
