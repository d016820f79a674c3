//! The names and paths that belong to components, as the kernel compares them.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt as _;

use enforcer_common::{Binding, BoundPath, NAME_SIZE, Name, PATH_SIZE, SEVERAL};

use crate::kernel::{KernelError, Maps};
use crate::policy::Policy;

/// Binds everything that the policy binds, for the verdicts of this generation.
pub(super) fn bind(maps: &Maps, policy: &Policy, generation: u32) -> Result<(), KernelError> {
    for (name, binding) in bindings(policy) {
        maps.bind_name(&Name { bytes: filled_up::<NAME_SIZE>(name), generation }, &binding)?;
    }
    for (component, number) in policy.components.iter().zip(1..) {
        for path in &component.paths {
            maps.bind_path(&BoundPath { bytes: filled_up::<PATH_SIZE>(path.as_os_str().as_bytes()), generation }, number)?;
        }
    }
    Ok(())
}

/// How many names and paths belong to somebody.
pub(super) fn count(policy: &Policy) -> u32 {
    let bound = policy.components.iter().map(|component| component.names.len() + component.paths.len()).sum::<usize>();
    u32::try_from(bound).unwrap_or(u32::MAX)
}

/// Each name that is bound, or that a bound path ends in.
fn bindings(policy: &Policy) -> HashMap<&[u8], Binding> {
    let mut bindings: HashMap<&[u8], Binding> = HashMap::new();
    for (component, number) in policy.components.iter().zip(1..) {
        for name in &component.names {
            bindings.entry(name.as_bytes()).or_default().component = number;
        }
        for last in component.paths.iter().filter_map(|path| path.file_name()) {
            let by_path = &mut bindings.entry(last.as_bytes()).or_default().by_path;
            *by_path = if *by_path == 0 || *by_path == number { number } else { SEVERAL };
        }
    }
    bindings
}

/// The policy holds no name that would not fit.
fn filled_up<const SIZE: usize>(text: &[u8]) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    bytes[..text.len()].copy_from_slice(text);
    bytes
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_name_says_to_whom_it_belongs_and_whose_paths_end_in_it() {
        let text = "version = 1\nmode = \"audit\"\n\
            [[component]]\nidentifier = \"a\"\nnames = [\"sshd\"]\npaths = [\"/usr/sbin/sshd\", \"/opt/tool\", \"/opt/x/tool\"]\n\
            [[component]]\nidentifier = \"b\"\nnames = [\"nc\"]\npaths = [\"/srv/sshd\"]\n";
        let policy = Policy::parse(text, Path::new("policy.toml")).unwrap();
        let bindings = bindings(&policy);
        assert_eq!(bindings.len(), 3);
        assert_eq!(bindings[b"sshd".as_slice()], Binding { component: 1, by_path: SEVERAL });
        assert_eq!(bindings[b"tool".as_slice()], Binding { component: 0, by_path: 1 });
        assert_eq!(bindings[b"nc".as_slice()], Binding { component: 2, by_path: 0 });
        assert_eq!(count(&policy), 6);
    }

    #[test]
    fn a_name_is_filled_up_with_zeros() {
        assert_eq!(filled_up::<4>(b"ab"), [b'a', b'b', 0, 0]);
    }
}
