//! Results for the terminal.

use comfy_table::{CellAlignment, Table, presets};

use super::summary::Summary;

/// A number with so many digits behind the point, or a dash.
pub(crate) fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

/// A share in percent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// What a table says of each system: a heading and a cell.
pub(crate) type Column = (&'static str, fn(&Summary) -> String);

/// What an update costs.
pub(crate) const COST: &[Column] = &[
    ("system", |s| s.system.name()),
    ("runs", |s| s.runs.to_string()),
    ("CPU us/update", |s| number(Some(s.cpu_us), 2)),
    ("user", |s| number(Some(s.user_us), 2)),
    ("kernel", |s| number(Some(s.system_us), 2)),
    ("min..max", |s| format!("{:.1}..{:.1}", s.cpu_us_min, s.cpu_us_max)),
    ("x scan", |s| number(s.to_scan, 2)),
    ("x epoll", |s| number(s.to_epoll, 2)),
    ("Redis us", |s| number(s.redis_us, 2)),
    ("load us", |s| number(Some(s.load_us), 2)),
    ("others' CPU", |s| percent(s.foreign)),
];

/// What comes of it.
pub(crate) const DELIVERY: &[Column] = &[
    ("system", |s| s.system.name()),
    ("connections", |s| s.connections.to_string()),
    ("B/update", |s| number(Some(s.bytes_per_update), 0)),
    ("gap p50/p99/p99.9 ms", |s| format!("{:.1}/{:.1}/{:.1}", s.gap_p50_ms, s.gap_p99_ms, s.gap_p999_ms)),
    ("delivered", |s| percent(s.delivered)),
    ("ticks skipped", |s| s.skipped.to_string()),
    ("RSS KB/conn", |s| number(Some(s.resident_kb), 1)),
    ("of it anonymous", |s| number(Some(s.anonymous_kb), 1)),
    ("sockets KB/conn", |s| number(Some(s.kernel_kb), 2)),
];

/// How long an input takes.
pub(crate) const LATENCY: &[Column] = &[
    ("system", |s| s.system.name()),
    ("latency p50 ms", |s| number(s.latency_p50_ms, 1)),
    ("p99", |s| number(s.latency_p99_ms, 1)),
    ("gap p99 ms", |s| number(Some(s.gap_p99_ms), 1)),
    ("delivered", |s| percent(s.delivered)),
];

/// What connections take that say nothing.
pub(crate) const IDLE: &[Column] = &[
    ("system", |s| s.system.name()),
    ("connections", |s| s.connections.to_string()),
    ("RSS KB/conn", |s| number(Some(s.resident_kb), 1)),
    ("of it anonymous", |s| number(Some(s.anonymous_kb), 1)),
    ("sockets KB/conn", |s| number(Some(s.kernel_kb), 2)),
    ("server cores", |s| number(Some(s.server_cores), 3)),
    ("updates/s per conn", |s| number(Some(s.updates_per_second), 1)),
    ("others' CPU", |s| percent(s.foreign)),
];

/// A table of systems.
pub(crate) fn table(columns: &[Column], summaries: &[Summary]) -> String {
    let header: Vec<&str> = columns.iter().map(|(heading, _)| *heading).collect();
    plain_table(
        &header,
        summaries.iter().map(|summary| columns.iter().map(|(_, cell)| cell(summary)).collect()),
    )
}

/// A table of rows, the first column of which is a name.
pub(crate) fn plain_table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_BORDERS_ONLY_CONDENSED);
    table.set_header(header.iter().copied());
    table.add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::summary::{summaries, tests::outcome};
    use crate::load::systems::System;

    #[test]
    fn a_table_has_a_line_for_each_system() {
        let outcomes = [outcome(System::FloorScan, 10.0), outcome(System::Tickcast, 25.0)];
        let all = summaries(&outcomes);
        let text = table(COST, &all) + &table(DELIVERY, &all);
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(" tickcast ")).collect();
        for cell in ["25.00", "6.25", "18.75", "2.50", " - ", "50.0/51.0/52.0", "100.0 %"] {
            assert!(lines.iter().any(|line| line.contains(cell)), "{cell} in {lines:?}");
        }
        assert_eq!(lines.len(), 2);
    }
}
