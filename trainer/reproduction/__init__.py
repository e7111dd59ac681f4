"""Trains a version again from what is recorded of it, and says how close that came."""
