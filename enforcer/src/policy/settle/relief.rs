//! Settling what suspends enforcing.

use std::time::Duration;

use super::super::at::At;
use super::super::error::Problem;
use super::super::raw::{RawBreakGlass, RawFuse};
use super::super::values::*;
use super::super::{BreakGlass, Fuse, display_duration, parse_duration};
use super::Desk;
use crate::audit::Timestamp;
use crate::text::printable;
use crate::trust::parse_sha256;

impl Desk {
    pub(super) fn fuse(&mut self, raw: Option<At<RawFuse>>) -> Option<Fuse> {
        let raw = raw?;
        let (place, raw) = (raw.span(), raw.into_inner());
        let denials = raw.denials.is_some().then(|| self.number(raw.denials, 0, DENIALS) as u32);
        let within = raw.within.and_then(|within| self.within(&within));
        let until = raw.until.and_then(|until| match Timestamp::parse(&until.get_ref().to_string()) {
            Some(time) => Some(time),
            None => {
                let message = format!("`{}` is no moment: it does not say in which time zone", until.get_ref());
                self.refuse(Problem::new(until.span(), message).remedy("write it in UTC, with a `Z` at its end: 2026-01-31T09:30:00Z"));
                None
            }
        });
        if let (Some(denials), Some(within), Some(until)) = (denials, within, until) {
            return Some(Fuse { denials, within, until });
        }
        let remedy = "it takes `denials`, `within` and `until`; `enforcer enforce --fuse 50/10m` writes them";
        self.refuse(Problem::new(place, "a fuse that does not say when it blows").remedy(remedy));
        None
    }

    fn within(&mut self, written: &At<String>) -> Option<Duration> {
        let within = parse_duration(written.get_ref()).filter(|within| WITHIN.contains(within));
        if within.is_none() {
            let (from, to) = (display_duration(*WITHIN.start()), display_duration(*WITHIN.end()));
            self.refuse(
                Problem::new(written.span(), format!("`{}` is no time for a fuse", printable(written.get_ref())))
                    .remedy(format!("write a whole number and one of s, m, h, d, such as \"10m\"; allowed: {from} to {to}")),
            );
        }
        within
    }

    pub(super) fn break_glass(&mut self, raw: RawBreakGlass) -> BreakGlass {
        let written = raw.codes.unwrap_or_default();
        if written.len() > MOST_CODES {
            self.refuse(Problem::new(0..0, format!("{} break-glass codes", written.len())).remedy(format!("at most {MOST_CODES} are allowed")));
        }
        let mut codes = Vec::with_capacity(written.len());
        for code in written {
            match parse_sha256(code.get_ref()) {
                Some(sha256) => codes.push(sha256),
                None => self.refuse(
                    Problem::new(code.span(), "this is no SHA-256 of a code")
                        .remedy("`enforcer break-glass` makes a code and says what to write here; never write the code itself"),
                ),
            }
        }
        BreakGlass { codes }
    }
}
