"""What calls and operations of retrieval share: image sets and mined failures as they are read."""
