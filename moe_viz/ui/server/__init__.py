"""The server that shows the pages: what happens at its start and to each request. It may import anything of ui; it knows no page."""
