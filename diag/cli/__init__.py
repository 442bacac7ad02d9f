"""The command line: the same functions as the pages, for a shell on a GPU machine and for CI.

    main.py         the commands put together, exit codes
    workspace.py    app, demo               files.py       shard, checkpoint
    cases.py        forward, test           evidence.py    evidence …
    records.py      records …, report
    options.py      options that several commands share
    shard.py, checkpoint.py, forward.py, test.py     what such a command computes, and how a terminal shows it

The files with commands import nothing slow at their top: `--help` and completion answer in a fifth of a second.
"""
