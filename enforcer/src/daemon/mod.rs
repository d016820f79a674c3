//! Requests to verdicts, scans, reload and notification.
