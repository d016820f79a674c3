//! Events: records, remedies and the log on disk.
