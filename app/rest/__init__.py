"""The other face of the same reads and writes: the shop's REST endpoints, their description, and the export."""
