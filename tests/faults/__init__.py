"""What can go wrong with a checkpoint, and a count of how often it did.

Each module has one function that tries every case of its kind and returns a frozen
count, on which the tests assert; `PYTHONPATH=tests python -m faults` prints them all.

    samples     small checkpoints, and whether two have the same bits
    disks       disks that record, fail and kill
    kills       SIGKILL at each call of a commit, in a real process
    crashes     every state in which a power cut may leave the disk
    mutants     the protocol with one line removed or moved, which must show
    failures    a full or broken disk, at each call
    full_disk   a disk that is really full
    corruption  bytes that changed, files that moved
    hostile     files that were made to harm
"""
