"""The Hugging Face Hub and other places for files: publish a folder in one commit, and read it back. Knows files, not runs."""
