"""Immutable data under the digest of its content: objects, and datasets made of them."""
