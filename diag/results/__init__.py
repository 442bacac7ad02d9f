"""What one run found, as data: a loss on its ruler, findings, diagnosis, record, and every threshold. No torch."""
