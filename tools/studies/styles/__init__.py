"""Style alignment: how far each method moves a model to a style, and what content that costs."""
