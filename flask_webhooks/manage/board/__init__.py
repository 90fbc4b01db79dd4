"""The board, an operator's pages, and the portal: the same pages cut to one tenant."""
