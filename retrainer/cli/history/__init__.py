"""What happened, in words: cycles, versions, their differences, and what became of a user."""
