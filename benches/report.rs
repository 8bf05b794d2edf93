//! What the `wire` program found, as tables for a person and as JSON for a program.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::measure::{Measured, Models, SPANS, measure};
use crate::synthetic::Synthetic;
use crate::traces::Trace;
use crate::traces::reference::Reference;

/// The reference sizes that are compared with, and what the tables call them.
const REFERENCES: [(&str, &str); 4] = [
    ("colyseus_schema_5.0.34", "of colyseus"),
    ("zstd3dict(mask_d0)", "of zstd3+dict"),
    // A name in REFERENCE.json: changed entities whole, fixed width. Put together for tidy.rs, which looks for uses.
    (concat!("chg_fixed(bin", "code)"), "of fixed width"),
    ("rc_persist_untrained", "of rc_persist"),
];
/// What coding a tick of so many moving entities may take, microseconds.
const GOALS_MOVING_US: [(usize, f64); 2] = [(1_000, 200.0), (100, 25.0)];
/// What an idle entity may add to coding a tick, nanoseconds.
const GOAL_IDLE_NS: f64 = 6.0;

/// Everything that was found. Its JSON is what `--json` prints.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The traces that could be measured.
    pub traces: Vec<OfTrace>,
    /// Those that could not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failed>,
    /// The loads made for single costs, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synthetic: Option<Synthetic>,
}

/// One trace.
#[derive(Debug, Serialize)]
pub struct OfTrace {
    /// Its sizes and times.
    #[serde(flatten)]
    pub measured: Measured,
    /// Its ticks a second.
    pub hz: f64,
    /// Other formats' sizes, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub references: BTreeMap<String, Compared>,
}

/// Another format's size of the same trace.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Compared {
    /// Its mean bytes per tick.
    pub bytes_per_tick: f64,
    /// What ours are of that.
    pub ratio: f64,
}

/// A trace that could not be measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// The file.
    pub file: PathBuf,
    /// What is wrong; it names the file.
    pub error: String,
}

impl Report {
    /// Measures the traces in these files. A file that cannot be measured is told of and the others are measured
    /// all the same. `progress` is told what comes next, and what went wrong.
    pub fn of_traces(
        files: &[PathBuf],
        reference: &Reference,
        models: Models,
        mut progress: impl FnMut(&str),
    ) -> Report {
        let mut report = Report::default();
        for (number, file) in (1..).zip(files) {
            progress(&format!("{number} of {}: {}", files.len(), file.display()));
            match of_trace(file, reference, models) {
                Ok(measured) => report.traces.push(measured),
                Err(error) => {
                    progress(&format!("error: {error}"));
                    report.failed.push(Failed { file: file.clone(), error });
                }
            }
        }
        report
    }

    /// The tables, each with what it is of.
    pub fn tables(&self) -> String {
        let mut text = String::new();
        let mut section = |title: &str, table: Table| {
            writeln!(text, "{title}\n{table}").expect("a string takes any text");
        };
        if !self.traces.is_empty() {
            section(
                "Bytes per tick, frames with their headers, over the last 80 % of the ticks",
                self.sizes(),
            );
            section("Times, nanoseconds: means of the fastest 99 of 100 ticks", self.times());
            section(
                "Catch-ups, bytes (and % of the diffs they stand for); snapshots with prior, bytes",
                self.joins(),
            );
        }
        if let Some(synthetic) = &self.synthetic {
            section(
                "Synthetic loads: entities of 4 fields that all move otherwise than guessed",
                moving(synthetic),
            );
            section("Synthetic loads: entities that lie still, beside 64 that move", idle(synthetic));
        }
        text
    }

    fn sizes(&self) -> Table {
        let ours = ["trace", "ticks", "entities", "sent", "mean", "p50", "p99", "in priors"];
        let mut table = table(ours.into_iter().chain(REFERENCES.map(|(_, heading)| heading)));
        for OfTrace { measured, references, .. } in &self.traces {
            let bytes = measured.bytes_per_tick;
            let mut cells = vec![
                measured.name.clone(),
                measured.ticks.to_string(),
                format!("{:.1}", measured.entities),
                format!("{:.1}", measured.sent),
                format!("{:.1}", bytes.mean),
                bytes.p50.to_string(),
                bytes.p99.to_string(),
                format!("{:.1} ({})", measured.prior_bytes_per_tick, measured.priors),
            ];
            let ratio = |(name, _): (&str, &str)| {
                references.get(name).map_or("-".to_owned(), |compared| format!("{:.3}", compared.ratio))
            };
            cells.extend(REFERENCES.map(ratio));
            table.add_row(cells);
        }
        table
    }

    fn times(&self) -> Table {
        let mut table = table([
            "trace",
            "encode per sent",
            "per tick",
            "per tick, p99",
            "decode per sent",
            "per tick",
            "per tick, p99",
        ]);
        for OfTrace { measured, .. } in &self.traces {
            let mut cells = vec![measured.name.clone()];
            for cost in [&measured.encode, &measured.decode] {
                cells.push(format!("{:.0}", cost.ns_per_sent));
                cells.push(format!("{:.0}", cost.ns_per_tick));
                cells.push(cost.ns_per_tick_p99.to_string());
            }
            table.add_row(cells);
        }
        table
    }

    fn joins(&self) -> Table {
        let spans = SPANS.map(|span| format!("{span} ticks"));
        let headings = ["trace"].into_iter().chain(spans.iter().map(String::as_str));
        let mut table = table(headings.chain(["warm-up", "snapshot", "per entity"]));
        for OfTrace { measured, .. } in &self.traces {
            let mut cells = vec![measured.name.clone()];
            cells.extend(SPANS.map(|span| {
                let found = measured.catch_ups.iter().find(|catch_up| catch_up.span == span);
                let told = found.map(|found| format!("{:.0} ({:.0} %)", found.bytes, 100.0 * found.of_diffs));
                told.unwrap_or("-".to_owned())
            }));
            cells.push(format!("{:.0}", measured.warm_up_bytes));
            cells.push(format!("{:.0}", measured.snapshot_bytes));
            cells.push(format!("{:.1}", measured.snapshot_bytes_per_entity));
            table.add_row(cells);
        }
        table
    }
}

fn of_trace(file: &PathBuf, reference: &Reference, models: Models) -> Result<OfTrace, String> {
    let trace = Trace::read(file).map_err(|error| error.to_string())?;
    let measured = measure(&trace, models).map_err(|error| format!("{}: {error}", file.display()))?;
    let mean = measured.bytes_per_tick.mean;
    let known = reference.bytes_per_tick(trace.name());
    let compared = |(name, _): (&str, &str)| {
        let bytes_per_tick = *known?.get(name)?;
        Some((name.to_owned(), Compared { bytes_per_tick, ratio: mean / bytes_per_tick }))
    };
    let references = REFERENCES.into_iter().filter_map(compared).collect();
    Ok(OfTrace { measured, hz: trace.hz(), references })
}

fn moving(synthetic: &Synthetic) -> Table {
    let mut table = table([
        "entities",
        "sent",
        "bytes",
        "encode, us",
        "p99",
        "goal",
        "per sent, ns",
        "decode, us",
        "commit, us",
    ]);
    let us = |ns: f64| format!("{:.1}", ns / 1000.0);
    for load in &synthetic.moving {
        let goal = GOALS_MOVING_US.iter().find(|(entities, _)| *entities == load.entities);
        let goal = goal.map_or("-".to_owned(), |(_, us)| format!("<= {us}"));
        table.add_row([
            load.entities.to_string(),
            format!("{:.0}", load.sent),
            format!("{:.0}", load.bytes),
            us(load.encode_ns.mean),
            us(load.encode_ns.p99 as f64),
            goal,
            format!("{:.0}", load.encode_ns.mean / load.sent.max(1.0)),
            us(load.decode_ns.mean),
            us(load.advance_ns.mean),
        ]);
    }
    table
}

fn idle(synthetic: &Synthetic) -> Table {
    let idle = &synthetic.idle;
    let [few, many] = idle.entities.map(|entities| format!("with {entities}, ns"));
    let mut table = table(["p50 of a tick", &few, &many, "per idle entity, ns", "goal"]);
    for (name, [few, many], each, goal) in [
        ("encode", idle.encode_ns, idle.encode_ns_per_idle, format!("<= {GOAL_IDLE_NS}")),
        ("commit", idle.advance_ns, idle.advance_ns_per_idle, "-".to_owned()),
    ] {
        table.add_row([name.to_owned(), few.to_string(), many.to_string(), format!("{each:.3}"), goal]);
    }
    table
}

fn table<'a>(header: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::traces::sample::{Sample, compressed};

    /// Forty ticks in which a point goes on and another one comes and goes.
    fn write_trace(path: &Path) {
        let mut sample = Sample::new(&[("Point", &["x", "y"])]);
        for tick in 0..40 {
            let (x, y) = ([tick * 3, tick * tick], [5, tick]);
            let both: [(u8, u16, &[i32]); 2] = [(0, 1, &x), (0, 7, &y)];
            sample = sample.tick(&both[..1 + (tick as usize / 9) % 2]);
        }
        fs::write(path, compressed(&sample.raw())).unwrap();
    }

    fn report(reference: &str) -> (Report, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let files = ["good", "worse"].map(|name| folder.path().join(format!("{name}.gtr.zst")));
        write_trace(&files[0]);
        fs::write(&files[1], "no trace").unwrap();
        fs::write(folder.path().join("REFERENCE.json"), reference).unwrap();
        let (reference, mut told) = (Reference::read(folder.path()).unwrap(), Vec::new());
        let report =
            Report::of_traces(&files, &reference, Models::Published, |text| told.push(text.to_owned()));
        (report, told)
    }

    #[test]
    fn a_broken_trace_is_named_and_the_others_are_measured() {
        let (report, told) = report(r#"{"traces": {}}"#);
        assert_eq!((report.traces.len(), report.failed.len()), (1, 1));
        assert!(report.failed[0].error.contains("worse.gtr.zst: not a zstd stream"), "{:?}", report.failed);
        assert!(told[0].starts_with("1 of 2: ") && told[1].starts_with("2 of 2: "), "{told:?}");
        assert!(told[2].starts_with("error: ") && told[2].contains("worse.gtr.zst"), "{told:?}");
        assert!(report.tables().contains(" -"), "there is nothing to compare with");
    }

    #[test]
    fn the_json_and_the_tables_tell_the_same() {
        let sizes = r#"{"traces": {"good": {"bytes_per_tick": {"zstd3dict(mask_d0)": 100.0}}}}"#;
        let (report, _) = report(sizes);
        let json: serde_json::Value = serde_json::to_value(&report).unwrap();
        let good = &json["traces"][0];
        assert_eq!(good["name"], "good");
        let mean = good["bytes_per_tick"]["mean"].as_f64().unwrap();
        assert!(
            mean > 4.0 && good["bytes_per_tick"]["p99"].as_u64() >= good["bytes_per_tick"]["p50"].as_u64()
        );
        let ratio = good["references"]["zstd3dict(mask_d0)"]["ratio"].as_f64().unwrap();
        assert!((ratio - mean / 100.0).abs() < 1e-9);
        assert_eq!(json.get("synthetic"), None, "it was not asked for");
        let tables = report.tables();
        for text in [format!("{mean:.1}"), format!("{ratio:.3}"), "10 ticks".to_owned()] {
            assert!(tables.contains(&text), "{text} is missing in\n{tables}");
        }
    }
}
