"""The fourth act: claim a stored delivery, sign it, send it, settle it."""
