"""Facts that happened, for whoever wants to know: a log with consumer groups, and an outbox to publish from a
transaction.
"""
