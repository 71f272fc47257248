"""Sandboxes on the machines of a Ray cluster, each on the engine of the machine that it is on.

    driver                                      node
    Cluster -> Slots -> ClusterSandbox  ==Ray==>  Slot (an actor) -> Lodger -> Sandbox -> the node's own engine

Its modules:

    cluster     what callers hold; ``source`` lends its sandboxes to tasks
    slots       the actors: placed by the resources that a policy needs, used again, left out where they cannot work
    sandbox     a sandbox elsewhere, as the driver sees it; ``runs`` its runs, ``shelf`` the files that go there
    rays        everything that is asked of Ray itself
    slot        what runs on a node; ``lodger`` is one sandbox in it, ``relay`` one run of that
    watch       the process on a node that clears up after a slot that was killed
    doctor      what each node has

The cluster is trusted: Ray unpickles what its machines send to each other. The sandboxes on it are not.
"""
