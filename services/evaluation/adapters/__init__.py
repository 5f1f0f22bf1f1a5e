"""The ports of the evaluation service on real technology."""
