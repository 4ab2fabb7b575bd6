"""Who is asking: a request's credential becomes a viewer."""
