//! What comes with the metrics is what Grafana and Prometheus take: the dashboard in the form of Grafana's JSON model, the alerts in that of a rule file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde::Deserialize;

use super::root;

/// Of Grafana's JSON model (grafana.com/docs, "Dashboard JSON model"), what this dashboard rests on. Every field must be there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dashboard {
    uid: String,
    title: String,
    schema_version: u32,
    time: TimeRange,
    templating: List<Variable>,
    annotations: List<Annotation>,
    panels: Vec<Panel>,
}

#[derive(Deserialize)]
struct TimeRange {
    from: String,
    to: String,
}

#[derive(Deserialize)]
struct List<T> {
    list: Vec<T>,
}

#[derive(Deserialize)]
struct Variable {
    name: String,
    r#type: VariableKind,
    /// Of a data source, its plugin; of a query, what is asked.
    query: serde_json::Value,
    datasource: Option<Source>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum VariableKind {
    Datasource,
    Query,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Annotation {
    datasource: Source,
    expr: String,
    enable: bool,
    icon_color: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Panel {
    id: u32,
    r#type: PanelKind,
    title: String,
    grid_pos: Place,
    datasource: Source,
    targets: Vec<Target>,
    /// How values are shown.
    #[serde(rename = "fieldConfig")]
    _field_config: FieldConfig,
    #[serde(rename = "options")]
    _options: BTreeMap<String, serde_json::Value>,
}

/// Panels that are part of Grafana itself, and so need no plugin.
#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum PanelKind {
    Gauge,
    Logs,
    Stat,
    Table,
    Timeseries,
}

#[derive(Deserialize)]
struct Place {
    x: u32,
    y: u32,
    w: u32,
    h: u32,
}

#[derive(Deserialize)]
struct Source {
    r#type: String,
    uid: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    ref_id: String,
    datasource: Source,
    expr: String,
}

#[derive(Deserialize)]
struct FieldConfig {
    #[serde(rename = "defaults")]
    _defaults: serde_json::Map<String, serde_json::Value>,
    #[serde(rename = "overrides")]
    _overrides: Vec<serde_json::Value>,
}

#[test]
fn the_dashboard_has_what_grafana_needs_and_its_panels_lie_beside_each_other() {
    let dashboard = dashboard();
    assert_eq!((dashboard.uid.as_str(), dashboard.title.as_str()), ("enforcer", "Enforcer"));
    assert_eq!((dashboard.time.from.as_str(), dashboard.time.to.as_str()), ("now-24h", "now"));
    // Since 36 a data source is an object; Grafana migrates older ones, and refuses none that are newer.
    assert!((36..=41).contains(&dashboard.schema_version), "{}", dashboard.schema_version);
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in &dashboard.panels {
        let Place { x, y, w, h } = panel.grid_pos;
        assert!(ids.insert(panel.id), "the id {} is there twice", panel.id);
        assert!(w > 0 && h > 0 && x + w <= COLUMNS, "{} is not on the grid", panel.title);
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(place), "{} lies over another", panel.title);
        }
    }
}

#[test]
fn every_query_of_the_dashboard_names_a_source_that_can_be_chosen_and_variables_that_exist() {
    let dashboard = dashboard();
    let chosen = dashboard.templating.list.iter().filter(|variable| variable.r#type == VariableKind::Datasource);
    let sources: BTreeMap<String, &str> =
        chosen.map(|variable| (format!("${{{}}}", variable.name), variable.query.as_str().expect("a plugin's name"))).collect();
    let names: BTreeSet<&str> = dashboard.templating.list.iter().map(|variable| variable.name.as_str()).collect();
    let check = |title: &str, source: &Source, expr: &str| {
        assert_eq!(sources.get(&source.uid), Some(&source.r#type.as_str()), "{title}: nobody can choose {}", source.uid);
        assert!(!expr.trim().is_empty(), "{title} asks nothing");
        let used = expr.split('$').skip(1).map(|rest| rest.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next().unwrap());
        for variable in used {
            assert!(names.contains(variable) || OF_GRAFANA.contains(&variable), "{title} asks for ${variable}, which is not defined");
        }
    };
    for panel in &dashboard.panels {
        let references: BTreeSet<&str> = panel.targets.iter().map(|target| target.ref_id.as_str()).collect();
        assert!(!references.is_empty() && references.len() == panel.targets.len(), "{}: targets have no names of their own", panel.title);
        for target in &panel.targets {
            check(&panel.title, &target.datasource, &target.expr);
            assert_eq!(target.datasource.uid, panel.datasource.uid, "{}", panel.title);
            let is_log = panel.datasource.r#type == "loki";
            assert!(is_log || panel.r#type != PanelKind::Logs, "{}: only Loki has lines", panel.title);
            assert!(is_log || target.expr.contains("instance=~\"$instance\""), "{}: the choice of machines has no effect", panel.title);
        }
    }
    for annotation in &dashboard.annotations.list {
        assert!(annotation.enable && !annotation.icon_color.is_empty());
        check("annotation", &annotation.datasource, &annotation.expr);
    }
    for variable in dashboard.templating.list.iter().filter(|variable| variable.r#type == VariableKind::Query) {
        let query = variable.query["query"].as_str().unwrap_or_default();
        check(&variable.name, variable.datasource.as_ref().expect("a query has a source"), query);
    }
}

/// A rule file, as Prometheus reads it: an unknown key is an error there too (`rulefmt`, prometheus.io/docs, "Defining recording rules" and "Alerting rules").
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    groups: Vec<RuleGroup>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleGroup {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    alert: String,
    expr: String,
    r#for: Option<String>,
    labels: Labels,
    annotations: Annotations,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Labels {
    severity: Severity,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Critical,
    Warning,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Annotations {
    summary: String,
    description: Option<String>,
}

#[test]
fn the_alerts_are_a_rule_file_that_says_what_to_do() {
    let file: RuleFile = serde_saphyr::from_str(&read("packaging/prometheus/enforcer.rules.yml")).unwrap();
    assert_eq!(file.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["enforcer"]);
    let (mut names, mut critical) = (BTreeSet::new(), 0);
    for rule in &file.groups[0].rules {
        let name = &rule.alert;
        assert!(name.starts_with("Enforcer") && name.bytes().all(|byte| byte.is_ascii_alphanumeric()) && names.insert(name), "{name}");
        assert!(rule.r#for.as_deref().is_none_or(is_duration), "{name}: for {:?}", rule.r#for);
        assert!(is_balanced(&rule.expr), "{name}: {}", rule.expr);
        critical += usize::from(matches!(rule.labels.severity, Severity::Critical));
        for text in std::iter::once(&rule.annotations.summary).chain(&rule.annotations.description) {
            let templates: Vec<&str> = text.split("{{").skip(1).map(|rest| rest.split_once("}}").expect("a template that ends").0.trim()).collect();
            let is_known = |template: &&str| template.starts_with("$labels.") || template.starts_with("$value | humanize");
            assert!(templates.iter().all(is_known), "{name}: {text}");
        }
        assert!(rule.annotations.summary.starts_with("{{ $labels.instance }}: "), "{name} does not say which machine");
    }
    assert!(critical > 0 && critical < names.len(), "{critical} of {} are critical", names.len());
}

fn dashboard() -> Dashboard {
    serde_json::from_str(&read("packaging/grafana/enforcer.json")).unwrap()
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// A whole number with a unit, which is the only form that is used of Prometheus' durations.
fn is_duration(text: &str) -> bool {
    let digits = text.trim_end_matches(['s', 'm', 'h', 'd']);
    digits.len() + 1 == text.len() && digits.parse::<u32>().is_ok_and(|number| number > 0)
}

/// Whether as many brackets and quotes are closed as opened; the rest is what `promtool check rules` is for.
fn is_balanced(expr: &str) -> bool {
    let count = |letter: char| expr.matches(letter).count();
    count('"').is_multiple_of(2) && [('(', ')'), ('[', ']'), ('{', '}')].into_iter().all(|(open, close)| count(open) == count(close))
}

/// Of Grafana's grid.
const COLUMNS: u32 = 24;
/// Variables that Grafana defines itself.
const OF_GRAFANA: [&str; 2] = ["__rate_interval", "__interval"];
