//! What `enforcer top` knows: two looks at the kernel, and the events of the last minute. Reads nothing and draws nothing.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde::Serialize;

use crate::audit::{Entry, Record, Status, Timestamp};

/// Everything that a picture is made from.
pub(super) struct View {
    pub(super) interval: Duration,
    pub(super) denied_only: bool,
    pub(super) paused: bool,
    pub(super) order: Order,
    /// The last look, and when it was.
    pub(super) look: Option<(Status, Timestamp)>,
    pub(super) rates: Rates,
    /// Those of the last minute, the oldest first.
    minute: VecDeque<Moment>,
    /// The newest first.
    newest: VecDeque<Record>,
    /// When the log says how many events are missing.
    missing: VecDeque<(Timestamp, u64)>,
    unreadable: u64,
    /// Events since the last look.
    events: u64,
}

/// How often, each second, within the last interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Rates {
    pub(super) allowed: f64,
    pub(super) denied: f64,
    pub(super) would_be_denied: f64,
    pub(super) first_uses: f64,
    pub(super) measurements: f64,
    pub(super) measurement_reuses: f64,
    pub(super) events: f64,
}

/// By what the groups are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    #[default]
    Events,
    Denied,
    Name,
}

impl Order {
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Events => Self::Denied,
            Self::Denied => Self::Name,
            Self::Name => Self::Events,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Denied => "denials",
            Self::Name => "name",
        }
    }
}

/// What events have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Program,
    Service,
    Reason,
}

/// Events that have something in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) events: u64,
    pub(super) denied: u64,
}

/// What counts of an event.
struct Moment {
    time: Timestamp,
    denied: bool,
    program: String,
    service: String,
    reason: String,
}

impl View {
    pub(super) fn new(interval: Duration, denied_only: bool) -> Self {
        Self {
            interval,
            denied_only,
            paused: false,
            order: Order::default(),
            look: None,
            rates: Rates::default(),
            minute: VecDeque::new(),
            newest: VecDeque::new(),
            missing: VecDeque::new(),
            unreadable: 0,
            events: 0,
        }
    }

    /// Takes in a line of the log.
    pub(super) fn note(&mut self, entry: Entry) {
        match entry {
            Entry::Event(record) => {
                self.events += 1;
                bounded(&mut self.minute, Moment::of(&record), MOST_COUNTED);
                self.newest.push_front(*record);
                self.newest.truncate(MOST_SHOWN);
            }
            Entry::Lost(lost) => bounded(&mut self.missing, (lost.time, lost.count), MOST_COUNTED),
        }
    }

    /// Takes in a line of the log that is none.
    pub(super) fn note_unreadable(&mut self) {
        self.unreadable += 1;
    }

    /// Takes in a look at the kernel, so long after the one before.
    pub(super) fn look(&mut self, status: Status, now: Timestamp, since: Option<Duration>) {
        let events = std::mem::take(&mut self.events);
        self.rates = match (&self.look, since.map(|since| since.as_secs_f64())) {
            (Some((before, _)), Some(seconds)) if seconds > 0.0 => Rates::between(before, &status, events, seconds),
            _ => Rates::default(),
        };
        self.look = Some((status, now));
        let minute_ago = now.before(MINUTE);
        while self.minute.front().is_some_and(|moment| moment.time < minute_ago) {
            self.minute.pop_front();
        }
        while self.missing.front().is_some_and(|(time, _)| *time < minute_ago) {
            self.missing.pop_front();
        }
    }

    /// The events of the last minute by what they have in common, in the order that was asked for.
    pub(super) fn groups(&self, by: By) -> Vec<Group> {
        let mut counts: HashMap<&str, (u64, u64)> = HashMap::new();
        for moment in self.minute.iter().filter(|moment| moment.denied || !self.denied_only) {
            let (events, denied) = counts.entry(moment.name(by)).or_default();
            *events += 1;
            *denied += u64::from(moment.denied);
        }
        let mut groups: Vec<Group> = counts.into_iter().map(|(name, (events, denied))| Group { name: name.to_owned(), events, denied }).collect();
        groups.sort_by(|one, other| one.name.cmp(&other.name));
        match self.order {
            Order::Events => groups.sort_by_key(|group| Reverse((group.events, group.denied))),
            Order::Denied => groups.sort_by_key(|group| Reverse((group.denied, group.events))),
            Order::Name => {}
        }
        groups
    }

    /// The newest events, the newest first.
    pub(super) fn newest(&self) -> impl Iterator<Item = &Record> {
        self.newest.iter().filter(|record| record.denied || !self.denied_only)
    }

    /// How many events the log says are missing, within the last minute.
    pub(super) fn missing(&self) -> u64 {
        self.missing.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Lines of the log that are no events.
    pub(super) fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// All of it for programs.
    pub(super) fn report(&self) -> Report<'_> {
        Report {
            time: self.look.as_ref().map(|(_, time)| *time),
            interval_seconds: self.interval.as_secs_f64(),
            status: self.look.as_ref().map(|(status, _)| status),
            rates: self.rates,
            last_minute: LastMinute { programs: self.groups(By::Program), services: self.groups(By::Service), reasons: self.groups(By::Reason) },
            newest: self.newest().collect(),
            missing: self.missing(),
            unreadable: self.unreadable,
        }
    }
}

impl Rates {
    fn between(before: &Status, now: &Status, events: u64, seconds: f64) -> Self {
        // Programs that were loaded anew begin with nothing.
        let rate = |count: fn(&Status) -> u64| count(now).saturating_sub(count(before)) as f64 / seconds;
        Self {
            allowed: rate(|status| status.allowed),
            denied: rate(|status| status.denied),
            would_be_denied: rate(|status| status.would_be_denied),
            first_uses: rate(|status| status.requests),
            measurements: rate(|status| status.measurements),
            measurement_reuses: rate(|status| status.cache_hits),
            events: events as f64 / seconds,
        }
    }
}

impl Moment {
    fn of(record: &Record) -> Self {
        Self {
            time: record.time,
            denied: record.denied,
            program: record.comm.clone(),
            service: record.cgroup.as_deref().map_or("unknown", service).to_owned(),
            reason: record.reason.to_string(),
        }
    }

    fn name(&self, by: By) -> &str {
        match by {
            By::Program => &self.program,
            By::Service => &self.service,
            By::Reason => &self.reason,
        }
    }
}

/// The shape of `--json`.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    time: Option<Timestamp>,
    interval_seconds: f64,
    status: Option<&'a Status>,
    rates: Rates,
    last_minute: LastMinute,
    newest: Vec<&'a Record>,
    missing: u64,
    unreadable: u64,
}

#[derive(Serialize)]
struct LastMinute {
    programs: Vec<Group>,
    services: Vec<Group>,
    reasons: Vec<Group>,
}

/// The unit of the service manager that a control group belongs to; the group itself where there is none.
fn service(cgroup: &str) -> &str {
    cgroup.rsplit('/').find(|part| part.ends_with(".service") || part.ends_with(".scope")).unwrap_or(cgroup)
}

fn bounded<T>(queue: &mut VecDeque<T>, one: T, most: usize) {
    if queue.len() >= most {
        queue.pop_front();
    }
    queue.push_back(one);
}

const MINUTE: Duration = Duration::from_secs(60);
/// Events of one minute that are counted; of more, the newest.
pub(super) const MOST_COUNTED: usize = 100_000;
/// Newest events that are kept: more than fit on any screen.
const MOST_SHOWN: usize = 200;

#[cfg(test)]
mod tests {
    use super::service;

    #[test]
    fn a_control_group_goes_by_the_name_of_its_unit() {
        assert_eq!(service("/system.slice/web.service"), "web.service");
        assert_eq!(service("/system.slice/docker-0a.scope/init"), "docker-0a.scope");
        assert_eq!(service("/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope"), "app-x.scope");
        assert_eq!(service("/lxc/box"), "/lxc/box");
    }
}
