"""The page "Local experts": the mixture of 1991 on the data that make its point.

May import: `charts`, `components`, `engine.client`, `records`, `spec`, `ui`. Must not know: torch, how a mixture is fitted.
"""
