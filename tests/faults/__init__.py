"""What can go wrong with a run and its checkpoints, and a count of how often it did.

Each module of the first group has one function that tries every case of its kind and
returns a frozen count, on which the tests assert. They are about checkpoints, and what
a run writes beside them:

    samples      small checkpoints, and whether two have the same bits
    disks        disks that record, fail and kill
    kills        SIGKILL at each call of a commit, in a real process
    power        a file system that knows what a power cut may take
    crashes      every state in which a power cut may leave checkpoints
    mutants      the protocol with one line removed or moved, which must show
    run_crashes  every state in which it may leave a run's log, history and identity
    run_mutants  their order with one line removed or moved
    failures     a full or broken disk, at each call
    full_disk    a disk that is really full
    corruption   bytes that changed, files that moved
    hostile      files that were made to harm
    checkpoints  all of these, and how long a commit takes

The second group is about whole runs of a framework, in child processes:

    runs         SIGKILL in a moment of each kind, and at any time, until a run ends
    calls        SIGKILL at each call of the file system
    broken       a full or broken disk, at each call
    full_run     a disk that is really full
    asked        SIGTERM and SIGINT; plain: a script that gets them
    changed      another script, machine or setting than before
    items        the state with one item lost, which must show
    overhead     what it costs to save once a minute
    report       the table

It stands on these, which nobody asserts on:

    job          what is run, with all that a state is made of; networks: one of which
    wanderer     what is run, with all ways to go through a loop
    tiny         what is run where each call of the system counts
    digests      what came of it
    ends         whether two runs came to the same end
    moments      where a run can be killed; position: at which step it is
    breaking     how a run's disk fails
    system       the calls of this process about a run's folder, shown to somebody
    forgotten    how an item of the state is lost
    attempts     what a child is asked, and what came; child: it; server: it from here
    seeds        all generators of a job

`make faults` tries a few of the second group, which takes minutes; `make faults-long`
tries all of both, as often as it takes. The first group is in `tests/checkpoints`, too.
"""
