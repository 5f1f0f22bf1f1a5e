"""The console: runs, what they did, and what they cost."""
