//! From a unit of systemd to its control group.

use std::process::Command;

use super::super::{Exit, Failure};
use crate::policy::CgroupPattern;
use crate::text::printable;

/// What somebody named: a control group by its path, or a unit.
pub(super) fn of(named: &str) -> Result<CgroupPattern, Failure> {
    let path = if named.starts_with('/') { named.to_owned() } else { of_unit(named)? };
    CgroupPattern::parse(&path).map_err(|(why, remedy)| Failure::new(Exit::Usage, format!("`{}` {why}", printable(&path))).hint(remedy))
}

/// Where a unit's processes are, or will be: what systemd says of one that runs, else its slice and its name.
fn of_unit(unit: &str) -> Result<String, Failure> {
    let named = printable(unit);
    let asked = Command::new("systemctl").args(["show", "--property=Id,LoadState,Slice,ControlGroup", "--", unit]).output();
    let answer = asked.map_err(|error| {
        Failure::new(Exit::System, format!("cannot ask systemd about `{named}`: {error}"))
            .hint("name its control group by its path, such as /system.slice/nginx.service")
    })?;
    let text = String::from_utf8_lossy(&answer.stdout);
    let property = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default().to_owned();
    if property("LoadState") != "loaded" {
        return Err(Failure::new(Exit::Usage, format!("systemd knows no unit `{named}`")).hint("`systemctl list-units` shows those that there are"));
    }
    let group = property("ControlGroup");
    if !group.is_empty() && group != "/" {
        return Ok(group);
    }
    let (slice, id) = (property("Slice"), property("Id"));
    if slice.is_empty() || !(id.ends_with(".service") || id.ends_with(".scope")) {
        return Err(Failure::new(Exit::Usage, format!("`{named}` is no service, and has no processes"))
            .hint("name a service, a slice that is active, or a control group by its path"));
    }
    Ok(format!("{}/{id}", path_of_slice(&slice)))
}

/// A slice's path, which its name spells out (`systemd.slice(5)`): `a-b.slice` is `/a.slice/a-b.slice`.
fn path_of_slice(slice: &str) -> String {
    let name = slice.strip_suffix(".slice").unwrap_or(slice);
    if name == "-" {
        return String::new();
    }
    let ends = name.match_indices('-').map(|(place, _)| place).chain([name.len()]);
    ends.map(|end| format!("/{}.slice", &name[..end])).collect()
}

/// A name for the scope of a control group, of what a name may be made of.
pub(super) fn name(cgroup: &CgroupPattern) -> String {
    let last = cgroup.parts().last().map_or("", String::as_str);
    let allowed = |character: char| if character.is_ascii_alphanumeric() || "-_.".contains(character) { character } else { '-' };
    let name: String = last.chars().map(allowed).collect();
    let name = if cgroup.is_beginning() { name.trim_end_matches('-').to_owned() } else { name };
    if name.is_empty() { "scope".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_lies_below_those_that_its_name_begins_with() {
        assert_eq!(path_of_slice("system.slice"), "/system.slice");
        assert_eq!(path_of_slice("system-getty.slice"), "/system.slice/system-getty.slice");
        assert_eq!(path_of_slice("a-b-c.slice"), "/a.slice/a-b.slice/a-b-c.slice");
        assert_eq!(path_of_slice("-.slice"), "");
    }

    #[test]
    fn a_scope_is_named_after_its_control_group() {
        let named = |text: &str| name(&CgroupPattern::parse(text).unwrap());
        assert_eq!(named("/system.slice/nginx.service"), "nginx.service");
        assert_eq!(named("/system.slice/docker-*"), "docker");
        assert_eq!(named("/system.slice/getty@tty1.service"), "getty-tty1.service");
        assert_eq!(named("/system.slice/-*"), "scope");
    }
}
