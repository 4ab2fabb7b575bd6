"""Measurements of the service and of what could be picked instead; never part of the tests. See README.md."""
