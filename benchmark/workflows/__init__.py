"""Programs that the command line offers and that use everything below it."""
