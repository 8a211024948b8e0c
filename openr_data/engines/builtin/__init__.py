"""The built-in policy: a small Llama that ships with the package, with its tokenizer and the recipe it was made by."""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
"""The model folder: config.json, model.safetensors, generation_config.json, the tokenizer's files and RECIPE.json."""
