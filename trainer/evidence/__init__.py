"""What is kept of a cycle for its report."""
