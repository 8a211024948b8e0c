"""`evaluate`: questions searched by one or many strategies, and what came of it in numbers."""
