//! Anchors, chains and time.
