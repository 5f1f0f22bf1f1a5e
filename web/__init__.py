"""The pages and the REST API: a client of the six services, for browsers."""
