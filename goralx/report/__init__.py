"""What a finished run says: numbers of its learning curve, and pictures."""
