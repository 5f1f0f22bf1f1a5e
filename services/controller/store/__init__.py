"""The tables of the controller: runs and their results, and the budget ledger."""
