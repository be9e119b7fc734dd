"""A finished run answers over HTTP: a page, and JSON. Needs the extra `serve`."""
