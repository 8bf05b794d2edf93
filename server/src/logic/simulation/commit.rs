//! A tick as it is written to the store: what is published, and the fields that change with it.

use bytes::Bytes;
use tickcast_protocol::chat::ChatLine;
use tickcast_protocol::prior::Prior;
use tickcast_protocol::{EntityId, frame, record};

use super::{Parts, Simulation};
use crate::backplane::{Commit, FieldName, fields};
use crate::logic::stored::entity_name;
use crate::logic::{channel, views};

impl Simulation {
    /// The tick's commit; its diff is coded with the prior of this number, later ones with `next`.
    pub(super) fn commit(
        &mut self,
        sent_ms: u64,
        number: u8,
        next: Option<&Prior>,
        lines: &[ChatLine],
    ) -> Commit {
        let (tick, hash) = (self.position.tick, self.world.hash());
        let client_frame = self.client_frame(number);
        let mut set = vec![(fields::HASH.into(), Bytes::from(format!("{hash:08x}")))];
        if self.players_written != Some(self.seats.len()) {
            self.players_written = Some(self.seats.len());
            set.push((fields::PLAYERS.into(), Bytes::from(self.seats.len().to_string())));
        }
        let prior_frame = next.map(|next| {
            let mut bytes = Vec::new();
            next.encode(&mut bytes);
            let prior_frame = frame::prior(self.position, &bytes);
            set.push((fields::PRIOR.into(), bytes.into()));
            prior_frame
        });
        let mut delete = Vec::new();
        for (player, holder) in std::mem::take(&mut self.seats_changed) {
            let name: FieldName = fields::seat(player).into();
            match holder {
                Some(holder) => set.push((name, Bytes::from(holder.to_text()))),
                None => delete.push(name),
            }
        }
        self.chat.write(lines, &mut set, &mut delete);
        let changes = self.parts.as_mut().map(Parts::take_changes).unwrap_or_default();
        views::write(&changes, &mut set, &mut delete);
        if self.ticks == u64::from(self.hz) {
            set.push((fields::CRASHES.into(), Bytes::from_static(b"0")));
            // Somebody may have given it up while this owner was away for a while.
            set.push((fields::STATUS.into(), Bytes::from_static(fields::OPEN.as_bytes())));
        }
        // With a new prior the entities are written too: whatever the ring holds after them is coded with it.
        if next.is_some() || tick.0 - self.snapshot_tick.0 >= self.writing.snapshot_every {
            self.snapshot_tick = tick;
            set.push((fields::SNAPSHOT_TICK.into(), Bytes::from(tick.0.to_string())));
            self.write_entities(&mut set, &mut delete);
        }
        Commit {
            fence: self.position.fence,
            tick,
            lease: self.writing.lease,
            ring_field: fields::ring(tick.0, self.ring),
            message: channel::encode_tick(
                self.position,
                hash,
                sent_ms,
                &client_frame,
                prior_frame.as_deref(),
                lines,
                &changes,
            ),
            set,
            delete,
            whole: false,
            again: false,
        }
    }

    /// The commit of the last tick once more, with the whole state: for a store that lost what came before it.
    pub fn repair(&mut self, commit: &Commit) -> Commit {
        let tick = self.position.tick;
        debug_assert_eq!(commit.tick, tick, "the last tick is the one that is not committed");
        let world = &self.world;
        let schema = world.schema();
        let mut set = vec![
            (fields::HASH.into(), Bytes::from(format!("{:08x}", world.hash()))),
            (fields::PLAYERS.into(), Bytes::from(self.seats.len().to_string())),
            (fields::SNAPSHOT_TICK.into(), Bytes::from(tick.0.to_string())),
        ];
        if self.encoder.prior().number() > 0 {
            let mut bytes = Vec::new();
            self.encoder.prior().encode(&mut bytes);
            set.push((fields::PRIOR.into(), bytes.into()));
        }
        for id in (0..schema.kinds().len()).flat_map(|kind| world.ids(kind as u8)) {
            let record = self.record(id).expect("an entity of this world");
            set.push((entity_name(schema, id).into(), record.into()));
        }
        for (player, holder) in self.seats.holders() {
            set.push((fields::seat(player).into(), Bytes::from(holder.to_text())));
        }
        self.chat.write_all(&mut set);
        if let Some(parts) = &self.parts {
            parts.views().write_all(&mut set);
        }
        self.take_touched();
        self.snapshot_tick = tick;
        Commit { set, delete: Vec::new(), whole: true, ..commit.clone() }
    }

    fn write_entities(&mut self, set: &mut Vec<(FieldName, Bytes)>, delete: &mut Vec<FieldName>) {
        for id in self.take_touched() {
            let name: FieldName = entity_name(self.world.schema(), id).into();
            match self.record(id) {
                Some(bytes) => set.push((name, bytes.into())),
                None => delete.push(name),
            }
        }
    }

    /// The entities whose records changed since this was last asked.
    fn take_touched(&mut self) -> Vec<EntityId> {
        match &mut self.parts {
            None => self.world.take_touched(),
            Some(parts) => parts.take_touched(&mut self.world),
        }
    }

    fn record(&self, id: EntityId) -> Option<Vec<u8>> {
        match &self.parts {
            None => record::encode_entity(&self.world, id),
            Some(parts) => parts.record(&self.world, id),
        }
    }

    /// What everybody gets of the tick, or is cut from.
    fn client_frame(&self, number: u8) -> Vec<u8> {
        match &self.parts {
            None => {
                let due = self.position.tick.0.is_multiple_of(self.writing.hash_every);
                let hash = due.then_some(self.world.hash());
                frame::diff(self.position, number, hash, &self.payload)
            }
            Some(_) => frame::segments(self.position, number, &self.payload),
        }
    }
}
