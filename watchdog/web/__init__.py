"""What the service answers over HTTP. Nothing here waits for a source: all is made from what was last published."""
