"""What a model makes of one user, and whether anything still holds one who was deleted. Nothing is written."""
