"""Living next to other OpenAPI tools: inside their documents, and beside their URLs."""
