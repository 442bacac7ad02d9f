"""What a defect looks like in the bytes: tie, layout, rotary pairing. No forward pass."""
