"""What two or more services need. Knows nothing of any one service."""
