"""How the shipped checkpoint was made: `prepare` collects and tokenises the text, `train` trains on one GPU."""
