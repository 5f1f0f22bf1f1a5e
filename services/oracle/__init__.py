"""The oracle service."""
