"""The ports of the retrieval service on real technology."""
