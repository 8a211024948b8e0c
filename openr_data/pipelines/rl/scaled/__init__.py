"""The same runs with TRL as the trainer: adapters, bfloat16, several devices."""
