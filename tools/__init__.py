"""What only the repository needs: nothing here is in the wheel, and nothing in the wheel knows of it."""
