"""What leaves this machine: a record as one HTML file, the picture of its ruler, the board of a meeting."""
