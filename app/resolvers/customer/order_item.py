"""Order lines on the customer surface: all fields are columns."""

from app.resolvers.customer.connection_type import connection_types

bindables = [*connection_types("OrderItem")]
