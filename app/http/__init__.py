"""Bytes in, bytes out: what of a request and an answer is HTTP, and nothing of what it means."""
