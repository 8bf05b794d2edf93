//! The cross-cutting tests, one binary. A module a subject.

mod backplane_contract;
mod bots_of_a_match;
mod chat;
mod cluster;
mod command_line;
mod documents;
mod example_game;
mod golden_channel;
mod handover;
mod history;
mod inspector;
mod lag_compensation;
mod native_client;
mod no_answer;
mod ownership_model;
mod planted;
mod poison;
mod refusals;
mod simulation;
mod slow_clients;
mod store_kinds;
mod store_trouble;
mod stranger;
mod takeover;
mod tidy;
mod web_files;
