//! What operators see and do: metrics, logs, any match in the store, orders.

pub mod admin;
pub mod check;
pub mod history;
pub mod inspect;
pub mod inspector;
pub mod logging;
pub mod metrics;
pub mod ticket;
