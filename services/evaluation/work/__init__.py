"""The long work behind the operations: how a model's answers are made and kept, and failures told apart."""
