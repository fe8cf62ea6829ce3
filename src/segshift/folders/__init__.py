"""Folders that commands write: what a run's files are called, and who may write in a folder."""

from segshift.folders.dataset_folder import SPEC, DatasetFolder, Journal
from segshift.folders.export_folder import SUMMARY_FILE, ExportFolder, write_summary
from segshift.folders.lock import Writer, is_free, lock_folder, writer_of
from segshift.folders.names import check_name, check_names, check_stem, name_fault
from segshift.folders.outputs import check_file, check_folder
from segshift.folders.remote import fetched_file, mirror_folder, mirrored, url_of
from segshift.folders.run_folder import (
    MODEL_FILE,
    TRANSLATOR_FILE,
    RunFolder,
    captions,
    model_file,
    model_path,
    step_of,
)

__all__ = [
    "MODEL_FILE",
    "SPEC",
    "SUMMARY_FILE",
    "TRANSLATOR_FILE",
    "DatasetFolder",
    "ExportFolder",
    "Journal",
    "RunFolder",
    "Writer",
    "captions",
    "check_file",
    "check_folder",
    "check_name",
    "check_names",
    "check_stem",
    "fetched_file",
    "is_free",
    "lock_folder",
    "mirror_folder",
    "mirrored",
    "model_file",
    "model_path",
    "name_fault",
    "step_of",
    "url_of",
    "write_summary",
    "writer_of",
]
