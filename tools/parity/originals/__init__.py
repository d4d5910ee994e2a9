"""What runs in the originals' environments: a file each, which imports nothing of ours."""
