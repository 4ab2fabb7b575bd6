"""The way to PostgreSQL: connections, transactions, notifications, migrations. Nothing here knows who is asking."""
