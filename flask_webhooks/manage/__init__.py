"""What people touch over HTTP."""
