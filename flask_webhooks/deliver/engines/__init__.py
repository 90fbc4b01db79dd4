"""Engines that carry ids of deliveries to worker processes: each is one function that publishes."""
