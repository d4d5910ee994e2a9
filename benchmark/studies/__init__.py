"""Programs that use everything: the demonstration, the builder of the embedded world, studies."""
