"""Throw-away certificates and Java key stores, for whatever of the tests speaks TLS."""
