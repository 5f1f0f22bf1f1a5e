"""Builds dataset versions from decisions, and writes them as others read them."""
