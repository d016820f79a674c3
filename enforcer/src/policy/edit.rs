//! Changing a policy's text as a person would: one line or table, with every comment where it was.

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

use super::{CgroupPattern, Fuse, Mode, display_duration};

/// A policy's text, to be changed.
#[derive(Clone, Debug)]
pub struct Edit(DocumentMut);

impl Edit {
    /// The text of a policy that is valid. `None` when it is no TOML.
    pub fn of(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// Sets the mode of the machine.
    pub fn set_mode(&mut self, mode: Mode) {
        self.set("mode", mode.name());
    }

    /// Takes a control group out of every scope, and a scope away that is left without any.
    pub fn leave_scopes(&mut self, cgroup: &CgroupPattern) {
        let Some(scopes) = self.0.get_mut("scope").and_then(Item::as_array_of_tables_mut) else { return };
        let written = cgroup.to_string();
        for scope in scopes.iter_mut() {
            if let Some(cgroups) = scope.get_mut("cgroups").and_then(Item::as_array_mut) {
                cgroups.retain(|cgroup| cgroup.as_str() != Some(&written));
            }
        }
        scopes.retain(|scope| scope.get("cgroups").and_then(Item::as_array).is_none_or(|cgroups| !cgroups.is_empty()));
        if scopes.is_empty() {
            self.0.remove("scope");
        }
    }

    /// Adds a scope with one control group.
    pub fn add_scope(&mut self, name: &str, cgroup: &CgroupPattern, mode: Mode) {
        let mut scope = Table::new();
        scope.insert("name", value(name));
        scope.insert("cgroups", value(Array::from_iter([cgroup.to_string()])));
        scope.insert("mode", value(mode.name()));
        let scopes = self.0.entry("scope").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        if let Some(scopes) = scopes.as_array_of_tables_mut() {
            scope.decor_mut().set_prefix("\n");
            scopes.push(scope);
        }
    }

    /// Puts a fuse in, or takes it out.
    pub fn set_fuse(&mut self, fuse: Option<&Fuse>) {
        let Some(fuse) = fuse else {
            self.0.remove("fuse");
            return;
        };
        let mut table = Table::new();
        table.insert("denials", value(i64::from(fuse.denials)));
        table.insert("within", value(display_duration(fuse.within)));
        let until = fuse.until.to_the_second().replace(' ', "T");
        if let Ok(until) = until.parse::<toml_edit::Datetime>() {
            table.insert("until", value(until));
        }
        table.decor_mut().set_prefix("\n");
        self.0.insert("fuse", Item::Table(table));
    }

    /// Adds the hash of a break-glass code.
    pub fn add_break_glass_code(&mut self, sha256: &str) {
        let table = self.0.entry("break-glass").or_insert_with(|| Item::Table(Table::new()));
        let codes = table.as_table_mut().map(|table| table.entry("codes").or_insert_with(|| value(Array::new())));
        if let Some(codes) = codes.and_then(Item::as_array_mut) {
            codes.push(sha256);
        }
    }

    /// A value of a key that is there already, with what stands around it.
    fn set(&mut self, key: &str, text: &str) {
        match self.0.get_mut(key).and_then(Item::as_value_mut) {
            Some(there) => {
                let decor = there.decor().clone();
                *there = text.into();
                *there.decor_mut() = decor;
            }
            None => {
                self.0.insert(key, value(text));
            }
        }
    }
}

impl std::fmt::Display for Edit {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::audit::Timestamp;
    use crate::policy::Policy;

    const TEXT: &str = include_str!("../../../policy.toml");
    const SIGNER: &str = "\n[[signer]]\nname = \"a\"\nanchors = [\"/a\"]\n";

    fn settled(edit: &Edit) -> Policy {
        Policy::parse(&edit.to_string(), Path::new("policy.toml")).unwrap_or_else(|error| panic!("{}\n{edit}", error.report()))
    }

    #[test]
    fn every_comment_stays_where_it_was() {
        let mut edit = Edit::of(TEXT).unwrap();
        edit.set_mode(Mode::Enforce);
        assert_eq!(edit.to_string(), TEXT.replace("\nmode = \"audit\"\n", "\nmode = \"enforce\"\n"));
        edit.set_mode(Mode::Audit);
        assert_eq!(edit.to_string(), TEXT);
        let spaced = "version = 1\nmode   =  \"audit\"   # for now\n";
        let mut edit = Edit::of(spaced).unwrap();
        edit.set_mode(Mode::Enforce);
        assert_eq!(edit.to_string(), spaced.replace("audit", "enforce"));
    }

    #[test]
    fn scopes_come_and_go() {
        let mut edit = Edit::of(&format!("{TEXT}{SIGNER}")).unwrap();
        let before = edit.to_string();
        let [nginx, docker] = ["/system.slice/nginx.service", "/system.slice/docker-*"].map(|text| CgroupPattern::parse(text).unwrap());
        edit.add_scope("nginx.service", &nginx, Mode::Enforce);
        edit.add_scope("docker", &docker, Mode::Audit);
        let policy = settled(&edit);
        assert_eq!(
            policy.scopes.iter().map(|scope| (scope.name.as_str(), scope.mode)).collect::<Vec<_>>(),
            [("nginx.service", Mode::Enforce), ("docker", Mode::Audit)]
        );
        edit.leave_scopes(&nginx);
        assert_eq!(settled(&edit).scopes.len(), 1);
        edit.leave_scopes(&nginx);
        edit.leave_scopes(&docker);
        assert_eq!(edit.to_string(), before);
    }

    #[test]
    fn what_is_written_of_fuses_and_codes_is_read_again() {
        let mut edit = Edit::of(TEXT).unwrap();
        let until = Timestamp::parse("2026-12-24T18:00:00Z").unwrap();
        let fuse = Fuse { denials: 50, within: Duration::from_secs(600), until };
        edit.set_fuse(Some(&fuse));
        edit.set_fuse(Some(&fuse));
        assert_eq!(settled(&edit).fuse, Some(fuse));
        edit.set_fuse(None);
        assert_eq!(settled(&edit).fuse, None);
        let sha256 = crate::text::sha256(b"code");
        edit.add_break_glass_code(&crate::text::hex(&sha256));
        edit.add_break_glass_code(&crate::text::hex(&sha256));
        assert_eq!(settled(&edit).break_glass.codes, [sha256, sha256]);
    }
}
