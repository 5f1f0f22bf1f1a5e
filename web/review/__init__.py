"""The review page: one task of the experts' queue at a time."""
