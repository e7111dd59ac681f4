"""What people watch the service by: how it was, what was wrong, and what they were told."""
