"""The sandbox: a container, the channel to its agent, its kernels, its workspace and its policy."""
