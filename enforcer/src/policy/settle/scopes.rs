//! Settling where another mode holds.

use std::collections::{BTreeMap, BTreeSet};

use enforcer_common::{Mode, SCOPE_BEGINNINGS};

use super::super::at::At;
use super::super::error::Problem;
use super::super::raw::RawScope;
use super::super::values::MODES;
use super::super::{CgroupPattern, Scope};
use super::Desk;
use crate::text::printable;

impl Desk {
    pub(super) fn scopes(&mut self, raw: Vec<At<RawScope>>) -> Vec<Scope> {
        let mut scopes: Vec<Scope> = Vec::with_capacity(raw.len());
        let mut beginnings: BTreeMap<Vec<String>, BTreeSet<usize>> = BTreeMap::new();
        for scope in raw {
            let (place, scope) = (scope.span(), scope.into_inner());
            let name = match scope.name {
                Some(name) => self.rule_name(name, "a scope"),
                None => {
                    self.refuse(Problem::new(place.clone(), "a scope without a name").remedy("add a line such as: name = \"web\""));
                    String::new()
                }
            };
            if scopes.iter().any(|other| other.name == name) {
                let message = format!("there is already a scope named `{}`", printable(&name));
                self.refuse(Problem::new(place.clone(), message).remedy("write all its control groups in one `[[scope]]`"));
            }
            let Some(mode) = scope.mode.map(|mode| self.choice(&mode, "mode", &MODES)) else {
                let remedy = "add the line: mode = \"enforce\" (deny what is not signed) or mode = \"audit\" (report only)";
                self.refuse(Problem::new(place, "a scope without a mode").remedy(remedy));
                continue;
            };
            let written = scope.cgroups.unwrap_or_default();
            if written.is_empty() {
                self.refuse(
                    Problem::new(place, "a scope without control groups")
                        .remedy("add a line such as: cgroups = [\"/system.slice/nginx.service\"]; `systemctl show -p ControlGroup UNIT` says it"),
                );
            }
            let mut cgroups = Vec::with_capacity(written.len());
            for written in written {
                let Some(pattern) = self.cgroup(&written) else { continue };
                if scopes.iter().any(|other| other.cgroups.contains(&pattern)) || cgroups.contains(&pattern) {
                    let message = format!("`{pattern}` is in a scope already");
                    self.refuse(Problem::new(written.span(), message).remedy("name each control group once"));
                }
                if let (true, Some((last, before))) = (pattern.is_beginning(), pattern.parts().split_last()) {
                    let lengths = beginnings.entry(before.to_vec()).or_default();
                    lengths.insert(last.len());
                    if lengths.len() > SCOPE_BEGINNINGS {
                        let message = format!("more than {SCOPE_BEGINNINGS} different lengths before a `*` in one control group");
                        self.refuse(Problem::new(written.span(), message).remedy("make some of them as long as others"));
                    }
                }
                cgroups.push(pattern);
            }
            scopes.push(Scope { name, cgroups, mode: mode.unwrap_or(Mode::Enforce) });
        }
        let count = scopes.iter().map(|scope| scope.cgroups.len()).sum::<usize>();
        if count > MOST_CGROUPS {
            self.refuse(Problem::new(0..0, format!("{count} control groups in scopes")).remedy(format!("at most {MOST_CGROUPS} are allowed")));
        }
        scopes
    }

    fn cgroup(&mut self, written: &At<String>) -> Option<CgroupPattern> {
        match CgroupPattern::parse(written.get_ref()) {
            Ok(pattern) => Some(pattern),
            Err((why, remedy)) => {
                self.refuse(Problem::new(written.span(), format!("`{}` {why}", printable(written.get_ref()))).remedy(remedy));
                None
            }
        }
    }
}

/// The kernel keeps the steps to each of them, twice while a policy replaces another one.
const MOST_CGROUPS: usize = 1000;
