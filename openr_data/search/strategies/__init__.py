"""One way to search per file: a coroutine from an explorer to its candidates."""
