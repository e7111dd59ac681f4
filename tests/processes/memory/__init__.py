"""What memory a process takes, told by processes of their own: others that the tests use free and take meanwhile."""
