"""Wire formats to accepted events to the journal."""
