"""Object detection: nested candidates, their measures, and the object classifier."""
