"""Declare a webhook once: document, validation, signal and durable signed delivery."""

__version__ = "0.1.0.dev0"
