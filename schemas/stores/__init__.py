"""What is told of feature stores, label stores and registries."""
