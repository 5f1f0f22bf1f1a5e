"""What the operations of annotation share: its datasets, calls with accounts, and the model's own answers."""
