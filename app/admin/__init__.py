"""What an operator does by command."""
