"""Calls to somebody outside, with their accounts: the oracle, experts, judges."""
