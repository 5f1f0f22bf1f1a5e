"""The NAME service."""
