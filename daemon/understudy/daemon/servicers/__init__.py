"""One thin servicer per service: decode the request, ask core or the store, encode the answer."""
