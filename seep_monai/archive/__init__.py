"""Many scenes on an existing engine of `concurrent.futures`, their state, and the catalogue of what was found."""
