"""What is drawn in a cell: one widget a file."""
