//! From a cgroup's id to its path, so that an event names the service or container it came from.
//!
//! Only for reports. A cgroup that is gone has no path any more, and none is guessed.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::kernel::unified_path;

/// Paths of cgroups by id, with what was found out before.
pub struct Cgroups {
    root: PathBuf,
    processes: PathBuf,
    known: HashMap<u64, String>,
}

impl Cgroups {
    /// The cgroups of this machine.
    pub fn of_this_machine() -> Self {
        Self::new("/sys/fs/cgroup".into(), "/proc".into())
    }

    fn new(root: PathBuf, processes: PathBuf) -> Self {
        Self { root, processes, known: HashMap::new() }
    }

    /// The path of the cgroup with this id, below the root of the hierarchy; `pid` is a process that was in it a moment ago.
    pub fn path(&mut self, id: u64, pid: u32) -> Option<&str> {
        if !self.known.contains_key(&id) {
            let path = self.by_process(id, pid).or_else(|| self.by_walk(id))?;
            if self.known.len() >= MOST {
                self.known.clear();
            }
            self.known.insert(id, path);
        }
        self.known.get(&id).map(String::as_str)
    }

    /// The process says where it is; it may have moved since, so the id is compared.
    fn by_process(&self, id: u64, pid: u32) -> Option<String> {
        let text = fs::read_to_string(self.processes.join(pid.to_string()).join("cgroup")).ok()?;
        let path = unified_path(&text)?;
        (self.id(&self.root.join(path.trim_start_matches('/')))? == id).then(|| path.to_owned())
    }

    /// The process is gone: looks at a bounded number of cgroups.
    fn by_walk(&self, id: u64) -> Option<String> {
        let mut folders = vec![self.root.clone()];
        let mut looked_at = 0;
        while let Some(folder) = folders.pop() {
            looked_at += 1;
            if looked_at > MOST {
                return None;
            }
            if self.id(&folder) == Some(id) {
                let path = folder.strip_prefix(&self.root).ok()?;
                return Some(Path::new("/").join(path).to_string_lossy().into_owned());
            }
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            folders.extend(entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()));
        }
        None
    }

    /// A cgroup's id is the inode number of its folder.
    fn id(&self, folder: &Path) -> Option<u64> {
        fs::metadata(folder).ok().map(|metadata| metadata.ino())
    }
}

/// The service that a control group is, or belongs to: the last part of its path that names a unit.
pub fn service(cgroup: &str) -> Option<String> {
    let is_unit = |ending: &'static str| move |part: &&str| part.ends_with(ending);
    let mut parts = cgroup.rsplit('/');
    let found = parts.clone().find(is_unit(".service")).or_else(|| parts.find(is_unit(".scope")));
    found.map(str::to_owned)
}

/// Cgroups that are kept, and that one walk looks at.
const MOST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_is_found_by_its_process_or_by_a_walk_and_never_guessed() {
        let machine = tempfile::tempdir().unwrap();
        let (root, processes) = (machine.path().join("cgroup"), machine.path().join("proc"));
        let (service, other) = (root.join("system.slice/web.service"), root.join("user.slice"));
        fs::create_dir_all(&service).unwrap();
        fs::create_dir_all(&other).unwrap();
        fs::create_dir_all(processes.join("7")).unwrap();
        fs::write(processes.join("7/cgroup"), "0::/user.slice\n").unwrap();
        let id = |folder: &Path| fs::metadata(folder).unwrap().ino();

        let mut cgroups = Cgroups::new(root.clone(), processes);
        assert_eq!(cgroups.path(id(&other), 7), Some("/user.slice"));
        assert_eq!(cgroups.path(id(&service), 7), Some("/system.slice/web.service"), "the process moved since");
        assert_eq!(cgroups.path(id(&root), 8), Some("/"));
        assert_eq!(cgroups.path(u64::MAX, 7), None);
    }

    #[test]
    fn a_control_group_belongs_to_its_nearest_unit() {
        assert_eq!(service("/system.slice/nginx.service").as_deref(), Some("nginx.service"));
        assert_eq!(service("/system.slice/nginx.service/worker").as_deref(), Some("nginx.service"));
        assert_eq!(service("/user.slice/user-0.slice/session-2.scope").as_deref(), Some("session-2.scope"));
        assert_eq!(service("/user.slice/user-0.slice/user@0.service/app.slice/run-1.scope").as_deref(), Some("user@0.service"));
        assert_eq!((service("/"), service("/init")), (None, None));
    }
}
