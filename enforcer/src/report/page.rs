//! placeholder
use super::Report;
/// page
pub fn page(_report: &Report) -> String { String::new() }
