"""Facts that happened: a log with consumer groups, and an outbox to publish from a transaction."""
