"""A local, stateful Stripe with Connect: an HTTP server that is Stripe to the stripe library."""
