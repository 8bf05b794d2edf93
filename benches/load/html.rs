//! A report as one page that needs nothing beside it: plots, tables, in light and dark.

use std::collections::BTreeMap;

use super::hands::Style;
use super::knee::GAP_TICKS_MAX;
use super::plot::{Bar, Line, bars, escape, lines};
use super::report::{Kind, Machine, Report, Settings};
use super::run::Outcome;
use super::summary::{Summary, median};
use super::systems::System;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1d2430; --paper: #fbfbfa; --faint: #d5d8dd; --soft: #5c6675;
  --c0: #2f6fd0; --c1: #e08a1e; --c2: #2a9d6f; --c3: #b4468f; --c4: #7a6bd6; --c5: #8a8f3c; --bad: #c43d3d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ec; --paper: #14181f; --faint: #343b47; --soft: #98a2b3;
  --c0: #6aa3f5; --c1: #f0ac55; --c2: #55c79a; --c3: #dd7fbd; --c4: #a79bf2; --c5: #bfc46a; --bad: #f07a7a; } }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } p, figcaption { color: var(--soft); } figure { margin: 2rem 0; }
figcaption { font-weight: 600; margin-bottom: .4rem; }
figure > svg { width: 100%; height: auto; } text { fill: var(--ink); font-size: 12px; }
.legend { display: flex; flex-wrap: wrap; gap: 1rem; list-style: none; padding: 0; margin: .3rem 0; font-size: 13px; }
.legend svg { width: 10px; height: 10px; margin-right: 5px; }
.grid { stroke: var(--faint); } .limit { stroke: var(--bad); stroke-dasharray: 5 4; }
polyline { fill: none; stroke-width: 2; }
.c0 { fill: var(--c0); } .c1 { fill: var(--c1); } .c2 { fill: var(--c2); } .c3 { fill: var(--c3); }
.c4 { fill: var(--c4); } .c5 { fill: var(--c5); }
.l0 { stroke: var(--c0); } .l1 { stroke: var(--c1); } .l2 { stroke: var(--c2); } .l3 { stroke: var(--c3); }
.l4 { stroke: var(--c4); } .l5 { stroke: var(--c5); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; white-space: nowrap; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--faint); text-align: right; }
th:first-child, td:first-child { text-align: left; }
";

/// The page.
pub(crate) fn page(report: &Report) -> String {
    let title = match report.task {
        Kind::Cpu => "What a delivered update costs",
        Kind::Latency => "From an input to its effect",
        Kind::Idle => "Connections that say nothing",
        Kind::Knee => "Players that a core carries",
    };
    let plots =
        if report.task == Kind::Knee { knee_plots(report) } else { plots(report.task, &report.summaries) };
    let matches = match report.task {
        Kind::Knee => "a growing number of matches".to_owned(),
        _ => format!("{} matches of {}", report.load.matches, members(&report.load)),
    };
    let conditions = conditions(&matches, &report.machine, &report.load, &report.outcomes);
    frame(title, &conditions, &(plots + "\n" + &tables(report)))
}

/// A page of plots and tables, with what there is to say before them.
pub(crate) fn frame(title: &str, conditions: &str, content: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{STYLE}</style></head>\n\
         <body><h1>{title}</h1>\n<p>{}</p>\n{content}</body></html>\n",
        escape(conditions)
    )
}

/// Who is in a match.
pub(crate) fn members(load: &Settings) -> String {
    match load.spectators {
        0 => format!("{} players", load.players),
        spectators => format!("{} players and {spectators} spectators", load.players),
    }
}

/// How it was measured: `who` was there, on this machine.
pub(crate) fn conditions<'a>(
    who: &str,
    machine: &Machine,
    load: &Settings,
    outcomes: impl IntoIterator<Item = &'a Outcome>,
) -> String {
    let pinned =
        if machine.is_pinned { "servers on core 0, load and Redis on core 1" } else { "nothing pinned" };
    let inputs = match (load.sends_inputs, load.hands) {
        (false, _) => "no inputs",
        (true, Style::Play) => "one input per player and tick as hands at play give it",
        (true, Style::Noise) => "one input per player and tick, all at random",
    };
    let fire = if load.sends_inputs && !load.may_fire { ", without fire" } else { "" };
    let foreign = outcomes.into_iter().map(|outcome| outcome.foreign).fold(0.0, f64::max);
    format!(
        "{who} at {} Hz, {inputs}{fire}; {} s measured behind {} s of play; medians. {}, {} cores, Linux {}, \
         {pinned}; others used up to {:.0} % of a core. Compare within this page only.",
        load.tick_rate,
        load.seconds,
        load.warm_up_seconds,
        machine.processor,
        machine.cores,
        machine.kernel,
        foreign * 100.0
    )
}

fn plots(task: Kind, summaries: &[Summary]) -> String {
    let plot = |title: &str, parts: &[&str], of: &dyn Fn(&Summary) -> Vec<f64>| {
        let all: Vec<Bar> =
            summaries.iter().map(|summary| Bar { name: summary.system.name(), parts: of(summary) }).collect();
        bars(title, parts, &all)
    };
    let memory = |title: &str| plot(title, &[], &|s| vec![s.resident_kb]);
    match task {
        Kind::Cpu => [
            plot("CPU time per update, microseconds", &["user", "kernel"], &|s| vec![s.user_us, s.system_us]),
            plot("CPU time of Redis per update, microseconds, apart", &[], &|s| {
                vec![s.redis_us.unwrap_or(0.0)]
            }),
            plot("CPU time per update, times floor-scan", &[], &|s| vec![s.to_scan.unwrap_or(0.0)]),
            plot("bytes per update", &[], &|s| vec![s.bytes_per_update]),
            plot("time between updates, milliseconds", &["p50", "and on to p99", "and on to p99.9"], &|s| {
                let (p50, p99, p999) = (s.gap_p50_ms, s.gap_p99_ms, s.gap_p999_ms);
                vec![p50, p99 - p50, p999 - p99]
            }),
            memory("resident memory per active connection, KB"),
        ]
        .concat(),
        Kind::Latency => plot("input to effect, milliseconds", &["p50", "and on to p99"], &|s| {
            let (p50, p99) = (s.latency_p50_ms.unwrap_or(0.0), s.latency_p99_ms.unwrap_or(0.0));
            vec![p50, p99 - p50]
        }),
        Kind::Idle => {
            memory("resident memory per idle connection, KB")
                + &plot("cores that the servers take", &[], &|s| vec![s.server_cores])
        }
        Kind::Knee => String::new(),
    }
}

fn knee_plots(report: &Report) -> String {
    let systems = report.knee_systems();
    let knee = |system: &System| Bar {
        name: system.name(),
        parts: vec![report.knee_players(*system).unwrap_or_default()],
    };
    let all: Vec<Bar> = systems.iter().map(knee).collect();
    let over = |number: fn(&Outcome) -> f64| -> Vec<Line> {
        let line = |system: &System| {
            let mut steps: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
            for outcome in report.outcomes.iter().filter(|outcome| outcome.system == *system) {
                steps.entry(outcome.connections).or_default().push(number(outcome));
            }
            let point = |(players, turns): (usize, Vec<f64>)| Some((players as f64, median(turns)?));
            Line { name: system.name(), points: steps.into_iter().filter_map(point).collect() }
        };
        systems.iter().map(line).collect()
    };
    let tick = 1000.0 / f64::from(report.load.tick_rate);
    let (limit, top) = (GAP_TICKS_MAX * tick, 4.0 * tick);
    [
        bars("players at the knee: p99 gap under 1.5 ticks, nothing lost", &[], &all),
        lines(
            "99th percentile of the time between updates, milliseconds",
            "players",
            limit,
            top,
            &over(|o| o.gap_ms.p99),
        ),
        lines("cores that the servers take", "players", 1.0, 1.2, &over(|o| o.server_cores)),
    ]
    .concat()
}

/// A table of rows.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let row = |tag: &str, cells: Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let head = row("th", header.iter().map(|cell| (*cell).to_owned()).collect());
    let rows: String = rows.into_iter().map(|cells| row("td", cells)).collect();
    format!("<div class=\"wide\"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>\n")
}

fn tables(report: &Report) -> String {
    if report.task == Kind::Knee {
        let (header, rows) = report.knee_table();
        return table(&header, rows);
    }
    let of = |columns: &&[super::text::Column]| {
        let head: Vec<&str> = columns.iter().map(|(heading, _)| *heading).collect();
        let rows =
            report.summaries.iter().map(|summary| columns.iter().map(|(_, cell)| cell(summary)).collect());
        table(&head, rows)
    };
    report.columns().iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::report::tests::report;

    #[test]
    fn a_page_has_plots_and_tables_and_needs_nothing_else() {
        for task in [Kind::Cpu, Kind::Latency, Kind::Idle, Kind::Knee] {
            let page = page(&report(task));
            for part in ["<svg", "<table", "floor-scan", "tickcast", "prefers-color-scheme: dark", "</html>"]
            {
                assert!(page.contains(part), "{part} in the page of {task:?}");
            }
            for foreign in ["http://", "https://", "<script", "<link", "@import", "url("] {
                assert!(!page.contains(foreign), "{foreign} in the page of {task:?}");
            }
            for tag in ["svg", "figure", "table", "tr", "ul", "li", "div", "text"] {
                let open = [' ', '>'].map(|end| page.matches(&format!("<{tag}{end}")).count());
                let closed = page.matches(&format!("</{tag}>")).count();
                assert_eq!(open.iter().sum::<usize>(), closed, "{tag} in the page of {task:?}");
            }
        }
    }
}
