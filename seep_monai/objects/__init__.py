"""Seeps as whole objects: nested candidates, their measures, and the judge that rates, names and chooses among them."""
