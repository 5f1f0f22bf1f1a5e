"""The tables of the oracle service: what annotation keeps, and the queue of the experts."""
