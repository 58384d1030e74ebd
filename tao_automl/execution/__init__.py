"""Where it runs: jobs, the runtimes that start them on one node, and the cluster that places them."""
