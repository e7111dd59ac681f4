"""Draws the report of a cycle from its evidence: one HTML page that needs nothing else, and pictures."""
