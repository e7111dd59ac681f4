"""The commands that ask for the past, and their words: cycles, versions, differences, what became of a user."""
