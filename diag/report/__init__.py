"""A record drawn: the same sections as Markdown, HTML and on a terminal."""
