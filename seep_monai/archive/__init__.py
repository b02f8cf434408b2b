"""Many scenes: run on an existing engine, their state, the catalogue of what was found, and sites of seeps."""
