"""The experiments: many arms over many seeds, run by the product itself; their figures, table and page."""
