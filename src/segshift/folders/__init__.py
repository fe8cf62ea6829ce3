"""Folders that commands write: what a run's files are called, and who may write in a folder."""

from segshift.folders.lock import lock_folder
from segshift.folders.outputs import check_file, check_folder
from segshift.folders.run_folder import MODEL_FILE, TRANSLATOR_FILE, RunFolder, model_file, model_folder

__all__ = [
    "MODEL_FILE",
    "TRANSLATOR_FILE",
    "RunFolder",
    "check_file",
    "check_folder",
    "lock_folder",
    "model_file",
    "model_folder",
]
