"""What embedding remembers: its tables, and every statement on them."""
