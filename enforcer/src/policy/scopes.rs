//! Scopes: services and containers in which another mode holds than on the rest of the machine, by their control groups.

use std::fmt;
use std::path::Path;

use enforcer_common::{Mode, NAME_SIZE, SCOPE_DEPTH};

use super::Policy;

/// Control groups in which a mode holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Its name in reports.
    pub name: String,
    /// Which control groups, with everything below them.
    pub cgroups: Vec<CgroupPattern>,
    /// What happens in them.
    pub mode: Mode,
}

/// A path below the root of the hierarchy of control groups (`Documentation/admin-guide/cgroup-v2.rst`), such as `/system.slice/nginx.service`. The last part may
/// end in `*`, which stands for any further characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CgroupPattern {
    parts: Vec<String>,
    is_beginning: bool,
}

/// Why something is no pattern, with the way to mend it.
pub type Unusable = (&'static str, String);

impl CgroupPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        let Some(below) = text.strip_prefix('/') else {
            return Err(("is not an absolute path of a control group", "write it from the root, such as \"/system.slice/nginx.service\"".to_owned()));
        };
        let (below, is_beginning) = below.strip_suffix('*').map_or((below, false), |beginning| (beginning, true));
        if below.is_empty() {
            return Err(("is all control groups", "leave the scope away, and set `mode` for the whole machine".to_owned()));
        }
        let parts: Vec<String> = below.split('/').map(str::to_owned).collect();
        if is_beginning && below.ends_with('/') {
            return Err(("names what is below another one", "leave `/*` away: a scope covers all that is below it".to_owned()));
        }
        if below.contains('*') {
            return Err(("has a `*` in the middle", "it can only stand at the end, and a scope covers all that is below it".to_owned()));
        }
        if parts.iter().any(|part| part.is_empty() || part == "." || part == ".." || part.contains('\0')) {
            return Err(("is no plain path", "write it as `systemctl show -p ControlGroup UNIT` does".to_owned()));
        }
        if parts.iter().any(|part| part.len() > LONGEST_PART) {
            return Err(("has too long a part", format!("each part has at most {LONGEST_PART} bytes; end a longer one in `*`")));
        }
        if parts.len() > SCOPE_DEPTH as usize {
            return Err(("lies too deep", format!("at most {SCOPE_DEPTH} parts are looked at")));
        }
        Ok(Self { parts, is_beginning })
    }

    /// The parts of the path, from the root on.
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// Whether the last part is only the beginning of a name.
    pub fn is_beginning(&self) -> bool {
        self.is_beginning
    }

    /// Whether everything that the other one names lies in what this one names, and is named more closely by the other one.
    pub fn is_around(&self, other: &Self) -> bool {
        let parts: Vec<&str> = other.parts.iter().map(String::as_str).collect();
        // `/a` is not around `/a*`, which is more than it.
        let is_wider = other.is_beginning && !self.is_beginning && other.parts.len() == self.parts.len();
        self != other && !is_wider && self.closeness(&parts).is_some()
    }

    /// How closely it names a control group of this path, or what that lies in: the deeper, and then the longer, the closer. `None`, when it does not.
    fn closeness(&self, parts: &[&str]) -> Option<(usize, bool, usize)> {
        let (last, before) = self.parts.split_last()?;
        let named = parts.get(before.len())?;
        let is_it =
            before.iter().zip(parts).all(|(part, named)| part == named) && if self.is_beginning { named.starts_with(last) } else { named == last };
        is_it.then_some((self.parts.len(), !self.is_beginning, last.len()))
    }
}

impl fmt::Display for CgroupPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| write!(out, "/{part}"))?;
        if self.is_beginning { out.write_str("*") } else { Ok(()) }
    }
}

impl Policy {
    /// The scope that a control group lies in, by its path below the root of the hierarchy: the deepest. `None` when it lies in none.
    pub fn scope_of(&self, cgroup: &Path) -> Option<&Scope> {
        let path = cgroup.to_string_lossy();
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let closest = |scope: &Scope| scope.cgroups.iter().filter_map(|pattern| pattern.closeness(&parts)).max();
        let named = self.scopes.iter().filter_map(|scope| Some((closest(scope)?, scope)));
        named.max_by_key(|(closeness, _)| *closeness).map(|(_, scope)| scope)
    }

    /// The mode that holds in a control group.
    pub fn mode_in(&self, cgroup: &Path) -> Mode {
        self.scope_of(cgroup).map_or(self.mode, |scope| scope.mode)
    }

    /// The mode that holds in a control group that a pattern names: what holds in all of them, if nothing closer is said of some.
    pub fn mode_of(&self, pattern: &CgroupPattern) -> Mode {
        let mut path: String = pattern.parts.iter().map(|part| format!("/{part}")).collect();
        if pattern.is_beginning {
            // No scope can name this one more closely than by that beginning.
            path.push('\0');
        }
        self.mode_in(Path::new(&path))
    }

    /// The strictest mode that holds anywhere: what enforcing takes has to be there, were it for one service alone.
    pub fn strictest_mode(&self) -> Mode {
        if self.has_stricter_scopes() { Mode::Enforce } else { self.mode }
    }

    /// Whether there are scopes in which more is denied than on the rest of the machine.
    pub fn has_stricter_scopes(&self) -> bool {
        self.mode == Mode::Audit && self.scopes.iter().any(|scope| scope.mode == Mode::Enforce)
    }
}

/// What is compared in the kernel has a zero at its end, and must differ from a longer name that was cut off.
const LONGEST_PART: usize = NAME_SIZE - 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(scopes: &[(&str, &[&str], Mode)]) -> Policy {
        let scopes =
            scopes.iter().map(|(name, cgroups, mode)| format!("[[scope]]\nname = {name:?}\ncgroups = {cgroups:?}\nmode = {:?}\n", mode.name()));
        let text = format!("version = 1\nmode = \"audit\"\n[[signer]]\nname = \"a\"\nanchors = [\"/a\"]\n{}", scopes.collect::<String>());
        Policy::parse(&text, Path::new("policy.toml")).unwrap_or_else(|error| panic!("{}", error.report()))
    }

    #[test]
    fn the_deepest_scope_counts() {
        let policy = policy(&[
            ("all", &["/system.slice"], Mode::Enforce),
            ("web", &["/system.slice/nginx.service", "/system.slice/docker-*"], Mode::Audit),
            ("payments", &["/system.slice/docker-ab/inner", "/system.slice/docker-abc*"], Mode::Enforce),
        ]);
        let name = |path: &str| policy.scope_of(Path::new(path)).map(|scope| scope.name.as_str());
        assert_eq!(name("/"), None);
        assert_eq!(name("/user.slice"), None);
        assert_eq!(name("/system.slice"), Some("all"));
        assert_eq!(name("/system.slice/sshd.service"), Some("all"));
        assert_eq!(name("/system.slice/nginx.service"), Some("web"));
        assert_eq!(name("/system.slice/nginx.service/worker"), Some("web"));
        assert_eq!(name("/system.slice/nginx.services"), Some("all"));
        assert_eq!(name("/system.slice/docker-ab"), Some("web"));
        assert_eq!(name("/system.slice/docker-ab/inner/x"), Some("payments"));
        assert_eq!(name("/system.slice/docker-abcd/inner"), Some("payments"));
        assert_eq!(policy.mode_in(Path::new("/user.slice/user-0.slice")), Mode::Audit);
        assert_eq!(policy.strictest_mode(), Mode::Enforce);
    }

    #[test]
    fn a_control_group_is_around_what_lies_in_it() {
        let is_around = |outer: &str, inner: &str| {
            let [outer, inner] = [outer, inner].map(|text| CgroupPattern::parse(text).unwrap());
            outer.is_around(&inner)
        };
        for (outer, inner) in [("/a", "/a/b"), ("/a", "/a/b*"), ("/a*", "/ab"), ("/a*", "/ab*"), ("/a*", "/ab/c"), ("/a", "/a/b/c")] {
            assert!(is_around(outer, inner) && !is_around(inner, outer), "{outer} {inner}");
        }
        for (one, other) in [("/a", "/a"), ("/a*", "/a*"), ("/a", "/ab"), ("/a/b", "/b/a/b"), ("/a/b", "/a/c")] {
            assert!(!is_around(one, other) && !is_around(other, one), "{one} {other}");
        }
        assert!(!is_around("/a", "/a*") && is_around("/a*", "/a"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let long = format!("/{}", "x".repeat(NAME_SIZE - 1));
        let deep = "/x".repeat(SCOPE_DEPTH as usize + 1);
        for text in ["", "nginx.service", "/", "/*", "/a/*", "/a*/b", "/a/../b", "/a//b", "/a/", "/a/.", "/a**", &long, &deep] {
            assert!(CgroupPattern::parse(text).is_err(), "{text:?}");
        }
        for text in ["/a", "/a*", "/system.slice/docker-*", "/a.b/c\\x2dd.service"] {
            assert_eq!(CgroupPattern::parse(text).unwrap().to_string(), text);
        }
    }
}
