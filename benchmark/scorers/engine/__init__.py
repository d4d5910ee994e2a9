"""The engine below the scorers: pixels decoded once, features kept by content, references, distances."""
