//! Who sits at a socket: a bot that decodes every state, or one that reads only the heads.

use std::time::Duration;

use tickcast_protocol::client::NeverWelcomed;

use crate::absence::Move;
use crate::bot::Bot;
use crate::light::LightBot;
use crate::plan::Plan;
use crate::share::BotPlan;
use crate::tally::Marks;

/// One of the two kinds of bots.
pub(crate) enum Pilot {
    Full(Box<Bot>),
    Light(Box<LightBot>),
}

macro_rules! both {
    ($pilot:expr, $bot:ident => $call:expr) => {
        match $pilot {
            Pilot::Full($bot) => $call,
            Pilot::Light($bot) => $call,
        }
    };
}

impl Pilot {
    pub(crate) fn new(bot: &BotPlan, plan: &Plan) -> Pilot {
        let (name, join) = (format!("bot-{}", bot.number), bot.join.clone());
        match plan.light {
            true => {
                let bot = LightBot::new(&name, join, bot.seed);
                Pilot::Light(Box::new(bot.allow_slow(plan.slow_clients_allowed)))
            }
            false => {
                let bot = Bot::new(&name, join, bot.seed);
                let bot = bot
                    .allow_slow(plan.slow_clients_allowed)
                    .keep_events(plan.history.is_some())
                    .chats(plan.chat);
                Pilot::Full(Box::new(bot))
            }
        }
    }

    pub(crate) fn is_joined(&self) -> bool {
        both!(self, bot => bot.is_joined())
    }

    pub(crate) fn is_away(&self) -> bool {
        both!(self, bot => bot.absence.is_away())
    }

    pub(crate) fn marks(&mut self) -> &mut Marks {
        both!(self, bot => bot.marks())
    }

    pub(crate) fn needs_ticket(&self) -> bool {
        both!(self, bot => bot.client.needs_ticket())
    }

    pub(crate) fn show_ticket(&mut self, ticket: String) {
        both!(self, bot => bot.client.show_ticket(ticket));
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        both!(self, bot => bot.poll_transmit())
    }

    pub(crate) fn take_move(&mut self) -> Option<Move> {
        both!(self, bot => bot.absence.take_move())
    }

    pub(crate) fn handle_loss(&mut self, now: Duration) {
        both!(self, bot => bot.absence.handle_loss(now));
    }

    pub(crate) fn resume(&mut self, now: Duration) -> Result<(), NeverWelcomed> {
        both!(self, bot => bot.resume(now))
    }

    pub(crate) fn ping(&mut self) {
        both!(self, bot => bot.client.ping(0));
    }

    pub(crate) fn leave(&mut self) {
        both!(self, bot => bot.leave());
    }

    pub(crate) fn handle_end(&mut self, now: Duration) {
        both!(self, bot => bot.handle_end(now));
    }
}
