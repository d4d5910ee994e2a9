"""What families of flow-matching models share: a transformer that predicts the velocity from image to noise.

* process: noise, target, the error of another parameterisation
* densities: from which density training draws sigma
* euler: the sampler, deterministic or with noise, and its steps as Gaussians
* multistep: DPM-Solver++, for models that were published with it
* schedules: how a model's scheduler spaces and shifts sigma
* facts: what a folder's configs say of sizes
* images: pixels to latents and back by `AutoencoderKL`, and latents as tokens
* texts: tokenizers and text encoders, opened strictly
* names, policies: adapters and checkpoints
* pipeline: `FlowPipeline`, of which a family is a subclass

Sigma is the share of noise: 0 is the image, 1 is noise.
"""
