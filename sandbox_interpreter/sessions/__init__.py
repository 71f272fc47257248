"""Sessions on disk: a folder each, with its record, its event log and its workspace.

    session   one folder and what is in it; ``store`` is all of them
    log       the event log; ``redact`` keeps secrets out of it, ``history`` makes a conversation of it again
    journal   what a conversation writes while it goes on; ``watch`` is how it is told, ``draft`` for what takes long
    reaper    clean-up after programs that were killed

They stand on what a sandbox is, and know nothing of models or terminals.
"""
