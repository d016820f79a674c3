//! The scopes of a policy as the kernel compares them: a tree of names, each step of it one element of the map `SCOPES`.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;

use enforcer_common::{Mode, NAME_SIZE, NO_STEP, SCOPE_DEPTH, ScopeNode, ScopeStep, WHOLE_NAME};

use crate::kernel::{KernelError, Maps, canary_cgroup, is_canary_cgroup, require_unified_hierarchy};
use crate::policy::{CgroupPattern, Policy};

/// Refuses a policy whose scopes nothing on this machine would ever be in.
pub(super) fn require_hierarchy(policy: &Policy) -> Result<(), KernelError> {
    if policy.scopes.is_empty() { Ok(()) } else { require_unified_hierarchy() }
}

/// Publishes the steps to a policy's scopes, beside those that are in force. The numbers of their nodes, of which the first is the root, for the settings; 0
/// and no number when there are no scopes.
pub(super) fn publish(maps: &Maps, policy: &Policy) -> Result<Range<u32>, KernelError> {
    if policy.scopes.is_empty() {
        return Ok(0..0);
    }
    let untried = |detail: String| KernelError::CanaryUntried { detail: format!("whether scopes are in force: {detail}") };
    let canary = policy.has_stricter_scopes().then(canary_cgroup).transpose().map_err(|error| untried(error.to_string()))?;
    let tree = Node::of(policy, canary.as_deref()).map_err(untried)?;
    // Numbers that are not used yet: what is in force stays in force until the settings name another root.
    let used = maps.scope_steps()?.iter().map(|(step, _)| step.from).max().unwrap_or(0);
    let root = if used > HIGHEST { 1 } else { used + 1 };
    let mut steps = Vec::new();
    let mut next = root;
    tree.steps(ScopeStep { from: root, length: NO_STEP, name: [0; NAME_SIZE] }, &mut next, &mut steps);
    steps.iter().try_for_each(|(step, node)| maps.set_scope_step(step, node))?;
    Ok(root..next)
}

/// Removes the steps from all other nodes.
pub(super) fn forget_others(maps: &Maps, nodes: &Range<u32>) -> Result<(), KernelError> {
    maps.retain_scope_steps(|step| nodes.contains(&step.from))
}

/// The control groups of the scopes that begin at a root, as the kernel has them, with their modes.
pub(super) fn in_force(maps: &Maps, root: u32) -> Result<Vec<(String, Mode)>, KernelError> {
    let steps: HashMap<ScopeStep, ScopeNode> = maps.scope_steps()?.into_iter().collect();
    let mut found = Vec::new();
    if root != 0 {
        below(&steps, root, "", None, 0, &mut found);
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

/// What is said of the children of a node; `mode` is what holds there already. A map that somebody else has written to has no end without the depth.
fn below(steps: &HashMap<ScopeStep, ScopeNode>, from: u32, path: &str, mode: Option<Mode>, depth: u32, found: &mut Vec<(String, Mode)>) {
    for (step, node) in steps.iter().filter(|(step, _)| step.from == from && step.length != NO_STEP && depth < SCOPE_DEPTH) {
        let length = step.name.iter().position(|byte| *byte == 0).unwrap_or(NAME_SIZE);
        let path = format!("{path}/{}", String::from_utf8_lossy(&step.name[..length]));
        let own = Mode::from_raw(node.mode);
        if let Some(own) = own.filter(|_| own != mode && !is_canary_cgroup(&path)) {
            found.push((if step.length == WHOLE_NAME { path.clone() } else { format!("{path}*") }, own));
        }
        if node.node != 0 {
            below(steps, node.node, &path, own.or(mode), depth + 1, found);
        }
    }
}

/// A control group on the way to a scope, or one itself.
#[derive(Default)]
struct Node {
    mode: Option<Mode>,
    /// By what is looked for of their names, and whether that is only the beginning.
    children: BTreeMap<(String, bool), Node>,
}

impl Node {
    /// The scopes of a policy. The daemon tries for itself, in a control group for its canary, whether one is in force in which more is denied than around it.
    fn of(policy: &Policy, canary: Option<&Path>) -> Result<Self, String> {
        let mut root = Self { mode: Some(policy.mode), ..Self::default() };
        for scope in &policy.scopes {
            for pattern in &scope.cgroups {
                root.at(pattern).mode = Some(scope.mode);
            }
        }
        if let Some(cgroup) = canary {
            let named = CgroupPattern::parse(&cgroup.to_string_lossy());
            let pattern = named.map_err(|(why, _)| format!("the control group `{}`, in which the canary is tried, {why}", cgroup.display()))?;
            root.at(&pattern).mode = Some(Mode::Enforce);
        }
        root.settle();
        Ok(root)
    }

    /// The node of a pattern, which is made when there is none.
    fn at(&mut self, pattern: &CgroupPattern) -> &mut Self {
        let last = pattern.parts().len() - 1;
        let mut node = self;
        for (place, part) in pattern.parts().iter().enumerate() {
            node = node.children.entry((part.clone(), pattern.is_beginning() && place == last)).or_default();
        }
        node
    }

    /// The kernel goes one way at each step: what is named in full has the mode of the longest beginning that fits, if it has none of its own.
    fn settle(&mut self) {
        let beginnings: Vec<(String, Option<Mode>)> =
            self.children.iter().filter(|((_, is_beginning), _)| *is_beginning).map(|((text, _), node)| (text.clone(), node.mode)).collect();
        for ((name, is_beginning), node) in &mut self.children {
            if !is_beginning && node.mode.is_none() {
                let fits = beginnings.iter().filter(|(beginning, _)| name.starts_with(beginning)).max_by_key(|(beginning, _)| beginning.len());
                node.mode = fits.and_then(|(_, mode)| *mode);
            }
            node.settle();
        }
    }

    /// The steps to this node and below it; numbers are given in the order in which nodes are come by.
    fn steps(&self, to: ScopeStep, next: &mut u32, steps: &mut Vec<(ScopeStep, ScopeNode)>) {
        let mut node = ScopeNode { mode: self.mode.map_or(0, |mode| mode as u32), ..ScopeNode::default() };
        if !self.children.is_empty() {
            node.node = *next;
            *next += 1;
        }
        let mut lengths: Vec<u32> = self.children.keys().filter(|(_, is_beginning)| *is_beginning).map(|(text, _)| text.len() as u32).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        // The policy holds no more of them than that.
        for (place, length) in node.beginnings.iter_mut().zip(lengths) {
            *place = length;
        }
        steps.push((to, node));
        for ((text, is_beginning), child) in &self.children {
            let mut name = [0; NAME_SIZE];
            name[..text.len()].copy_from_slice(text.as_bytes());
            let length = if *is_beginning { text.len() as u32 } else { WHOLE_NAME };
            child.steps(ScopeStep { from: node.node, length, name }, next, steps);
        }
    }
}

/// Numbers beyond this are not given out: they begin again from 1, where nothing is any more.
const HIGHEST: u32 = u32::MAX / 2;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// What the program in the kernel does.
    fn walk(steps: &HashMap<(u32, u32, [u8; NAME_SIZE]), ScopeNode>, root: u32, path: &str) -> u32 {
        let look_up = |from: u32, length: u32, text: &[u8]| {
            let mut name = [0; NAME_SIZE];
            name[..text.len()].copy_from_slice(text);
            steps.get(&(from, length, name))
        };
        let mut node = look_up(root, NO_STEP, b"").unwrap();
        let mut mode = node.mode;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let beginnings = node.beginnings.iter().filter(|length| **length != 0 && **length as usize <= part.len());
            let next = look_up(node.node, WHOLE_NAME, part.as_bytes());
            let Some(next) = next.or_else(|| beginnings.clone().find_map(|length| look_up(node.node, *length, &part.as_bytes()[..*length as usize])))
            else {
                break;
            };
            mode = if next.mode == 0 { mode } else { next.mode };
            node = next;
            if node.node == 0 {
                break;
            }
        }
        mode
    }

    #[test]
    fn the_kernels_walk_finds_the_mode_that_the_policy_means() {
        let scope = |name: &str, cgroups: &str, mode: &str| format!("[[scope]]\nname = \"{name}\"\ncgroups = [{cgroups}]\nmode = \"{mode}\"\n");
        let text = format!(
            "version = 1\nmode = \"audit\"\n[[signer]]\nname = \"a\"\nanchors = [\"/a\"]\n{}{}{}",
            scope("all", "\"/system.slice\"", "enforce"),
            scope("web", "\"/system.slice/nginx.service\", \"/system.slice/docker-*\", \"/top*\"", "audit"),
            scope("payments", "\"/system.slice/docker-ab/inner\", \"/system.slice/docker-abc*\", \"/user.slice/u\"", "enforce"),
        );
        let policy = Policy::parse(&text, Path::new("policy.toml")).unwrap();
        let tree = Node::of(&policy, Some(Path::new("/system.slice/docker-abc/enforcer.service/canary"))).unwrap();
        let (mut steps, mut next) = (Vec::new(), 7);
        tree.steps(ScopeStep { from: 7, length: NO_STEP, name: [0; NAME_SIZE] }, &mut next, &mut steps);
        let numbers: HashSet<u32> = steps.iter().map(|(_, node)| node.node).filter(|number| *number != 0).collect();
        assert!(numbers.iter().all(|number| (7..next).contains(number)) && numbers.len() as u32 == next - 7);
        let steps: HashMap<_, _> = steps.into_iter().map(|(step, node)| ((step.from, step.length, step.name), node)).collect();
        for path in [
            "/",
            "/system.slice",
            "/system.slice/sshd.service",
            "/system.slice/nginx.service",
            "/system.slice/nginx.service/worker/x",
            "/system.slice/nginx.services",
            "/system.slice/docker-",
            "/system.slice/docker-ab",
            "/system.slice/docker-ab/inner",
            "/system.slice/docker-ab/outer",
            "/system.slice/docker-abcd/inner",
            "/top",
            "/topmost/x",
            "/to",
            "/user.slice",
            "/user.slice/u/v",
            "/elsewhere/system.slice",
        ] {
            assert_eq!(walk(&steps, 7, path), policy.mode_in(Path::new(path)) as u32, "{path}");
        }
    }
}
