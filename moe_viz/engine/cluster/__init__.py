"""The engine on a Ray cluster: one worker on each core or GPU, where each run lives, and what happens when a machine is lost.

It may import `worker` and `storage`; Ray itself only where it is connected. It must not know of the web side (but for the demonstration).
"""
