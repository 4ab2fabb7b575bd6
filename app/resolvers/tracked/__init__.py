"""Orders as whoever has a link to their page reads them: what the page shows, and nothing of who ordered."""

from ariadne import SchemaBindable

from app.resolvers.tracked import link, order, shop

bindables: list[SchemaBindable] = [*link.bindables, *order.bindables, *shop.bindables]
