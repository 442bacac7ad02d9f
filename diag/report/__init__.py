"""A result or a record drawn: the same sections as Markdown and on a terminal, and how numbers and severities look."""
