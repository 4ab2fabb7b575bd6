"""One module per noun and surface; a resolver exists only where something happens, a column otherwise."""

from ariadne import SchemaBindable

from app.resolvers import b2b, customer, tracked
from app.resolvers.scalar import date_time

bindables: list[SchemaBindable] = [date_time, *b2b.bindables, *customer.bindables, *tracked.bindables]
