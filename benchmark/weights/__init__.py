"""Published and embedded weights of scorers: what there is, where it lies, how it is fetched and verified."""
