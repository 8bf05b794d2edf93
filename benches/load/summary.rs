//! Medians of several runs, and how they compare with the floors of the same comparison.

use serde::Serialize;

use super::run::Outcome;
use super::systems::System;

/// One system over all its runs: medians, where nothing else is said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) system: System,
    pub(crate) runs: usize,
    pub(crate) connections: usize,
    /// CPU time per update, microseconds.
    pub(crate) cpu_us: f64,
    pub(crate) cpu_us_min: f64,
    pub(crate) cpu_us_max: f64,
    pub(crate) user_us: f64,
    pub(crate) system_us: f64,
    pub(crate) redis_us: Option<f64>,
    pub(crate) load_us: f64,
    pub(crate) server_cores: f64,
    /// Of each client.
    pub(crate) updates_per_second: f64,
    pub(crate) bytes_per_update: f64,
    pub(crate) gap_p50_ms: f64,
    pub(crate) gap_p99_ms: f64,
    pub(crate) gap_p999_ms: f64,
    pub(crate) delivered: f64,
    /// Over all runs.
    pub(crate) skipped: u64,
    pub(crate) latency_p50_ms: Option<f64>,
    pub(crate) latency_p99_ms: Option<f64>,
    pub(crate) resident_kb: f64,
    pub(crate) anonymous_kb: f64,
    pub(crate) kernel_kb: f64,
    pub(crate) foreign: f64,
    /// CPU time per update as a multiple of that floor's.
    pub(crate) to_scan: Option<f64>,
    pub(crate) to_epoll: Option<f64>,
}

/// The middle of some numbers; of an even count, the mean of the two in the middle.
pub(crate) fn median(numbers: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    let half = numbers.len() / 2;
    match numbers.len() {
        0 => None,
        count if count % 2 == 1 => Some(numbers[half]),
        _ => Some(f64::midpoint(numbers[half - 1], numbers[half])),
    }
}

/// Summaries in the order in which the systems first came.
pub(crate) fn summaries(outcomes: &[Outcome]) -> Vec<Summary> {
    let mut systems: Vec<System> = Vec::new();
    for outcome in outcomes {
        if !systems.contains(&outcome.system) {
            systems.push(outcome.system);
        }
    }
    let mut all: Vec<Summary> = systems.into_iter().filter_map(|system| summary(outcomes, system)).collect();
    let cpu_of = |floor| all.iter().find(|summary| summary.system == floor).map(|summary| summary.cpu_us);
    let (scan, epoll) = (cpu_of(System::FloorScan), cpu_of(System::FloorEpoll));
    for summary in &mut all {
        let ratio =
            |floor: Option<f64>| floor.filter(|floor| *floor > 0.0).map(|floor| summary.cpu_us / floor);
        (summary.to_scan, summary.to_epoll) = (ratio(scan), ratio(epoll));
    }
    all
}

fn summary(outcomes: &[Outcome], system: System) -> Option<Summary> {
    let runs: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.system == system).collect();
    let of = |number: fn(&Outcome) -> f64| median(runs.iter().map(|run| number(run))).unwrap_or_default();
    let some = |number: fn(&Outcome) -> Option<f64>| median(runs.iter().filter_map(|run| number(run)));
    let cpu = runs.iter().map(|run| run.cpu_us());
    Some(Summary {
        system,
        runs: runs.len(),
        connections: runs.first()?.connections,
        cpu_us: of(Outcome::cpu_us),
        cpu_us_min: cpu.clone().fold(f64::INFINITY, f64::min),
        cpu_us_max: cpu.fold(0.0, f64::max),
        user_us: of(|run| run.user_us),
        system_us: of(|run| run.system_us),
        redis_us: some(|run| run.redis_us),
        load_us: of(|run| run.load_us),
        server_cores: of(|run| run.server_cores),
        updates_per_second: of(|run| run.updates as f64 / run.seconds / run.connections as f64),
        bytes_per_update: of(|run| run.bytes_per_update),
        gap_p50_ms: of(|run| run.gap_ms.p50),
        gap_p99_ms: of(|run| run.gap_ms.p99),
        gap_p999_ms: of(|run| run.gap_ms.p999),
        delivered: of(|run| run.delivered),
        skipped: runs.iter().map(|run| run.skipped).sum(),
        latency_p50_ms: some(|run| run.latency_ms.map(|latency| latency.p50)),
        latency_p99_ms: some(|run| run.latency_ms.map(|latency| latency.p99)),
        resident_kb: of(|run| run.resident_kb),
        anonymous_kb: of(|run| run.anonymous_kb),
        kernel_kb: of(|run| run.kernel_kb),
        foreign: of(|run| run.foreign),
        to_scan: None,
        to_epoll: None,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::load::tally::Percentiles;

    /// A run that took so much CPU time per update.
    pub(crate) fn outcome(system: System, cpu_us: f64) -> Outcome {
        Outcome {
            system,
            connections: 64,
            tick_rate: 20,
            seconds: 1.0,
            updates: 1280,
            delivered: 1.0,
            skipped: 0,
            inputs_per_second: 1280.0,
            bytes_per_input: 14.0,
            unanswered: 0,
            bytes_per_update: 100.0,
            user_us: cpu_us / 4.0,
            system_us: cpu_us * 3.0 / 4.0,
            redis_us: None,
            load_us: 9.0,
            server_cores: 0.1,
            gap_ms: Percentiles { p50: 50.0, p99: 51.0, p999: 52.0, max: 60.0 },
            latency_ms: None,
            resident_kb: 1.0,
            anonymous_kb: 0.8,
            kernel_kb: 2.0,
            foreign: 0.0,
        }
    }

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median([]), None);
    }

    #[test]
    fn ratios_are_of_medians_in_one_comparison() {
        let runs = [(System::FloorScan, 9.0), (System::Tickcast, 30.0), (System::FloorScan, 11.0)];
        let mut outcomes: Vec<Outcome> = runs.map(|(system, cpu)| outcome(system, cpu)).into();
        outcomes[1].skipped = 2;
        let all = summaries(&outcomes);
        assert_eq!(all.len(), 2);
        assert_eq!(
            (all[0].system, all[0].runs, all[0].cpu_us, all[0].to_scan),
            (System::FloorScan, 2, 10.0, Some(1.0))
        );
        assert_eq!((all[0].cpu_us_min, all[0].cpu_us_max), (9.0, 11.0));
        assert_eq!((all[1].to_scan, all[1].to_epoll, all[1].skipped), (Some(3.0), None, 2));
    }
}
