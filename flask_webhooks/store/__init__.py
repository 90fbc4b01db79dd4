"""The store: tables, transactions and every SQL statement. The rows are the only truth there is."""
