"""Computes the vectors of every user by the towers of a registered version, and has them published."""
