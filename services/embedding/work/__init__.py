"""What operations and event handlers of embedding share: the worker that makes vectors, the facts that they tell."""
