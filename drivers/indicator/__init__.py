"""What shows and sounds without a wire."""
