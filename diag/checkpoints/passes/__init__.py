"""One read of each tensor: everything that signatures, audit and comparison are functions of."""
