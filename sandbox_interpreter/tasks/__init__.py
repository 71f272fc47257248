"""Task files: work for throwaway sandboxes, checked afterwards, as CI wants it.

Its modules:

    record      what a task is; ``reader`` reads it from YAML, ``schema`` describes it to editors
    suite       which files are meant, and which of them run: shards, what failed the last time
    inputs      the files that a task is given
    attempt     one task in one sandbox; ``steps`` are its code or its conversation, its checks, its artifacts
    runner      many tasks at once, retries, the early end
    recording   a model's answers, kept and played again
    results     what came of it; ``junit`` and ``summary`` write that for others, ``history`` for the next time
"""
