"""The command line: the same functions as the pages, for a shell on a GPU machine and for CI."""
