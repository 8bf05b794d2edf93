//! Values of models, of which a schema has many and a match uses few: only those that were used take memory.

/// Models whose values have their places beside each other.
pub(crate) const GROUP: usize = 16;
/// Groups that get their memory at once: one vector for all would have to move as it grows.
const CHUNK: usize = 8;
/// The place of a group that has none.
const NOWHERE: u32 = u32::MAX;

/// A value for every model that was ever used. A schema has ten times as many: they have no place.
#[derive(Debug, Clone)]
pub(crate) struct Sparse<T> {
    /// For each group of models where its values are.
    places: Vec<u32>,
    /// In the order of their first use, so that what is used together stands together.
    chunks: Vec<Box<[[T; GROUP]; CHUNK]>>,
    /// Groups that have a place.
    placed: usize,
}

impl<T: Copy + Default> Sparse<T> {
    /// For so many models, none of them used.
    pub(crate) fn new(models: usize) -> Sparse<T> {
        Sparse { places: vec![NOWHERE; models.div_ceil(GROUP)], chunks: Vec::new(), placed: 0 }
    }

    /// The value of a model, which is used from now on.
    pub(crate) fn at(&mut self, model: usize) -> &mut T {
        self.at_or(model, |_| T::default())
    }

    /// The value of a model, which is used from now on: `first` makes what its group has first, model by model.
    #[inline(always)]
    pub(crate) fn at_or(&mut self, model: usize, first: impl FnMut(usize) -> T) -> &mut T {
        let mut place = self.places[model / GROUP];
        if place == NOWHERE {
            place = self.place(model / GROUP, first);
        }
        &mut self.chunks[place as usize / CHUNK][place as usize % CHUNK][model % GROUP]
    }

    #[cold]
    fn place(&mut self, group: usize, mut first: impl FnMut(usize) -> T) -> u32 {
        let place = self.placed;
        if place == self.chunks.len() * CHUNK {
            self.chunks.push(Box::new([[T::default(); GROUP]; CHUNK]));
        }
        self.chunks[place / CHUNK][place % CHUNK] = std::array::from_fn(|at| first(group * GROUP + at));
        self.places[group] = place as u32;
        self.placed += 1;
        place as u32
    }

    /// The models that have a place, in ascending order, with their values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, T)> + '_ {
        let placed = self.places.iter().enumerate().filter(|(_, place)| **place != NOWHERE);
        placed.flat_map(|(group, place)| {
            let values = self.chunks[*place as usize / CHUNK][*place as usize % CHUNK].iter().enumerate();
            values.map(move |(at, value)| (group * GROUP + at, *value))
        })
    }

    /// Gives every model that has a place another value.
    pub(crate) fn renew(&mut self, mut value: impl FnMut(usize) -> T) {
        for (group, place) in self.places.iter().enumerate().filter(|(_, place)| **place != NOWHERE) {
            let place = *place as usize;
            self.chunks[place / CHUNK][place % CHUNK] = std::array::from_fn(|at| value(group * GROUP + at));
        }
    }

    /// The values of all that have a place, in the order of their first use, in pieces.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[T]> {
        self.chunks.iter().map(|chunk| chunk.as_flattened())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_a_place_from_its_first_use_on() {
        let mut values = Sparse::<u16>::new(10 * GROUP);
        assert_eq!(values.iter().count(), 0);
        for model in [5 * GROUP, 3, 5 * GROUP, 4] {
            *values.at(model) += 1;
        }
        *values.at_or(7 * GROUP + 2, |model| model as u16) += 1000;
        let used: Vec<(usize, u16)> = values.iter().filter(|(_, value)| *value != 0).take(5).collect();
        let seventh = 7 * GROUP as u16;
        assert_eq!(used[..3], [(3, 1), (4, 1), (5 * GROUP, 2)]);
        assert_eq!(used[3..], [(7 * GROUP, seventh), (7 * GROUP + 1, seventh + 1)]);
        assert_eq!(*values.at(7 * GROUP + 2), seventh + 1002);
        assert_eq!((values.placed, values.iter().count()), (3, 3 * GROUP), "only what is used has a place");
        assert_eq!(
            values.pieces().map(|piece| piece[0]).collect::<Vec<_>>(),
            [2],
            "in the order of first use"
        );
        (0..10)
            .for_each(|group| assert!(*values.at(group * GROUP) <= seventh, "one chunk is full, one begun"));
        assert_eq!((values.placed, values.chunks.len()), (10, 2));
        values.renew(|model| model as u16 + 1);
        assert!(values.iter().all(|(model, value)| value == model as u16 + 1));
        assert_eq!(values.iter().count(), 10 * GROUP);
    }
}
