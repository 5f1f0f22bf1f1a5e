"""The REST API: what is on the pages of the console, as JSON."""
