"""The ports of the training service on real technology."""
