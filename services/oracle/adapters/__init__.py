"""The ports of the oracle service on real technology."""
