//! Which service, container or login a control group is.

use std::fmt;

use serde::{Serialize, Serializer};

/// Where a process ran, by the path of its control group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// A unit of systemd's, as `systemctl` names it.
    Unit(String),
    /// A container, by the short form of its id, or its name.
    Container(String),
    /// The containers of a unit, in a control group that the unit left to their engine (`podman run --cgroups=split`).
    ContainerOf(String),
    /// Logins and programs of a user, by the user's id.
    User(String),
    /// A control group that is none of these.
    Group(String),
    /// The control group was gone before anybody asked.
    Unknown,
}

impl Service {
    /// Of a control group's path below the root of the hierarchy.
    pub fn of(cgroup: Option<&str>) -> Self {
        let Some(cgroup) = cgroup else { return Self::Unknown };
        let mut parts = cgroup.split('/').filter(|part| !part.is_empty()).peekable();
        let (mut user, mut unit) = (None, None);
        while let Some(part) = parts.next() {
            if let Some(name) = container(part).or_else(|| engine(part).then(|| parts.peek().copied().map(short)).flatten()) {
                return unit.map_or_else(|| Self::Container(clip(name)), |unit| Self::ContainerOf(clip(unit)));
            }
            // A user has scopes for logins and programs, which are many and say little.
            let is_unit = part.ends_with(".service") && !part.starts_with("user@") || part.ends_with(".scope") && user.is_none();
            if is_unit && unit.is_none() {
                unit = Some(part);
            }
            user = part.strip_prefix("user-").and_then(|rest| rest.strip_suffix(".slice")).or(user);
        }
        match (unit, user) {
            (Some(unit), _) => Self::Unit(clip(unit)),
            (None, Some(user)) => Self::User(clip(user)),
            (None, None) => Self::Group(clip(cgroup)),
        }
    }

    /// Whether its paths are not this machine's.
    pub fn is_container(&self) -> bool {
        matches!(self, Self::Container(_) | Self::ContainerOf(_))
    }

    /// Whether its paths are this machine's. Of one that is unknown nobody knows.
    pub fn is_local(&self) -> bool {
        !self.is_container() && *self != Self::Unknown
    }
}

impl fmt::Display for Service {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit(name) => out.write_str(name),
            Self::Container(name) => write!(out, "container {name}"),
            Self::ContainerOf(unit) => write!(out, "container of {unit}"),
            Self::User(id) => write!(out, "user {id}"),
            Self::Group(path) => write!(out, "cgroup {path}"),
            Self::Unknown => out.write_str("(unknown)"),
        }
    }
}

impl Serialize for Service {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The id alone and `libpod-<id>` (cgroupfs), `docker-<id>.scope`, `cri-containerd-<id>.scope`, `libpod-<id>.scope`, `libpod-payload-<id>` (in a unit),
/// `machine-<name>.scope`, `lxc.payload.<name>`. Not `libpod-conmon-<id>.scope`, where the supervisor is, outside of the container.
fn container(part: &str) -> Option<&str> {
    if is_id(part) {
        return Some(short(part));
    }
    if let Some(name) = part.strip_prefix("lxc.payload.") {
        return Some(name);
    }
    let scope = part.strip_suffix(".scope");
    if let Some(name) = scope.and_then(|scope| scope.strip_prefix("machine-")) {
        return Some(name);
    }
    let (engine, id) = scope.unwrap_or(part).rsplit_once('-')?;
    (!engine.is_empty() && !engine.ends_with("-conmon") && is_id(id)).then(|| short(id))
}

/// The folders in which engines without systemd make one for each container.
fn engine(part: &str) -> bool {
    matches!(part, "docker" | "lxc")
}

/// The names that OCI engines give: 64 hexadecimal digits, of which people use twelve.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn short(id: &str) -> &str {
    if is_id(id) { &id[..12] } else { id }
}

fn clip(text: &str) -> String {
    crate::text::clipped(text, LONGEST).to_owned()
}

/// `NAME_MAX` (linux/limits.h).
const LONGEST: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_containers_and_logins_are_told_from_their_control_groups() {
        let id = "0123456789abcdef".repeat(4);
        for (cgroup, expected) in [
            ("/system.slice/backup.service", "backup.service"),
            ("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"),
            ("/system.slice/web.service/worker", "web.service"),
            ("/init.scope", "init.scope"),
            (&format!("/system.slice/docker-{id}.scope"), "container 0123456789ab"),
            (&format!("/system.slice/docker-{id}.scope/system.slice/nginx.service"), "container 0123456789ab"),
            (&format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope"), "container 0123456789ab"),
            (&format!("/docker/{id}"), "container 0123456789ab"),
            (&format!("/kubepods/burstable/pod7/{id}"), "container 0123456789ab"),
            (&format!("/machine.slice/libpod-{id}.scope/container/inner"), "container 0123456789ab"),
            (&format!("/libpod_parent/libpod-{id}"), "container 0123456789ab"),
            (&format!("/machine.slice/libpod-conmon-{id}.scope"), &format!("libpod-conmon-{id}.scope")),
            (&format!("/system.slice/shop.service/libpod-payload-{id}"), "container of shop.service"),
            ("/system.slice/shop.service/supervisor", "shop.service"),
            (&format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{id}.scope"), "container 0123456789ab"),
            ("/lxc.payload.web", "container web"),
            ("/machine.slice/machine-deb.scope", "container deb"),
            ("/user.slice/user-1000.slice/session-3.scope", "user 1000"),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope", "user 1000"),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/sync.service", "sync.service"),
            ("/", "cgroup /"),
        ] {
            assert_eq!(Service::of(Some(cgroup)).to_string(), expected, "{cgroup}");
        }
        assert_eq!(Service::of(None), Service::Unknown);
        // Whose paths they are.
        let is_container = |cgroup: &str| Service::of(Some(cgroup)).is_container();
        assert!(is_container(&format!("/system.slice/shop.service/libpod-payload-{id}/inner")));
        assert!(!is_container("/system.slice/shop.service/runtime") && !is_container(&format!("/machine.slice/libpod-conmon-{id}.scope")));
    }
}
