//! What operators see: metrics, logs, and any match in the store.

pub mod admin;
pub mod check;
pub mod history;
pub mod inspect;
pub mod logging;
pub mod metrics;
