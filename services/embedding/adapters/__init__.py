"""The ports of the embedding service on real technology."""
