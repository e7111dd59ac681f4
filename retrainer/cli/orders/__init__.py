"""What a person orders on a good or a bad day: promote, rollback, pin, unpin, pause, resume."""
