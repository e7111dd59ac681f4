"""Model serving: deployments and their versions."""
