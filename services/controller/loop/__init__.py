"""The durable loop: its lines, what each asks of which service, and how an answer is remembered."""
