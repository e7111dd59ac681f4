"""What a server that follows the champion loses while it takes new versions."""
