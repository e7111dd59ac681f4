"""The model registry: the protocol and its adapters."""
