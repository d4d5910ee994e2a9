"""Fine-tuning text-to-image diffusion models on preferences."""
