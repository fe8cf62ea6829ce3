"""Data sets: classes, files, joint transforms, and which samples a step sees.

Nothing is imported here: processes that render the city do without PyTorch, which takes seconds to import.
"""
