"""Seeps as whole objects: nested candidates, their measures, and the classifier that rates, chooses and names them."""
