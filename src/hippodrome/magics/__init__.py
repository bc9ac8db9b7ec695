"""%px and its family: cells of a notebook that run on engines. Uses the client as any user does."""
