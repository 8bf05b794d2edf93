//! A map cut into square cells, each a segment of its own: for games in which one sees what is near.

use tickcast_protocol::SegmentId;
use tickcast_protocol::limits::SEGMENTS_MAX;

/// Square cells over a map whose upper left corner is (0, 0), row after row. Lengths are in whatever the game counts in.
///
/// ```
/// use tickcast_server::game::Grid;
///
/// let grid = Grid::new(1_600, 960, 160, 1);
/// let mut view = vec![];
/// grid.look(200, 100, 300, &[], &mut view);
/// assert!(view.contains(&grid.cell(400, 100)) && !view.contains(&grid.cell(900, 900)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    columns: i64,
    rows: i64,
    size: i64,
    first: u16,
}

/// Part of a cell's size by which somebody has to be further away to lose a cell than to get it: who walks along a border
/// does not get the same again and again.
const HYSTERESIS_PART: i64 = 4;

impl Grid {
    /// Cells of `size` over a map, in the segments from `first` on.
    ///
    /// # Panics
    /// When a length is not positive, or there are more cells than a match has segments.
    pub fn new(width: i32, height: i32, size: i32, first: u16) -> Grid {
        assert!(width > 0 && height > 0 && size > 0, "a map has a size, and so have its cells");
        let cells = |length: i32| i64::from(length).div_euclid(i64::from(size)) + 1;
        let grid = Grid { columns: cells(width), rows: cells(height), size: i64::from(size), first };
        let segments = grid.columns * grid.rows + i64::from(first);
        assert!(segments <= SEGMENTS_MAX as i64, "{segments} segments are more than {SEGMENTS_MAX}");
        grid
    }

    /// The cell at a place; of one that is not on the map, the nearest.
    pub fn cell(&self, x: i32, y: i32) -> SegmentId {
        let column = i64::from(x).div_euclid(self.size).clamp(0, self.columns - 1);
        let row = i64::from(y).div_euclid(self.size).clamp(0, self.rows - 1);
        self.segment(column, row)
    }

    /// Appends the cells of which a part is within `radius` of a place; those that were in the view `before`, also if they
    /// are a quarter of a cell further away.
    pub fn look(&self, x: i32, y: i32, radius: i32, before: &[SegmentId], view: &mut Vec<SegmentId>) {
        let (x, y, near) = (i64::from(x), i64::from(y), i64::from(radius));
        let far = near + self.size / HYSTERESIS_PART;
        let range = |at: i64, cells: i64| {
            let on_map = |length: i64| length.div_euclid(self.size).clamp(0, cells - 1);
            on_map(at - far)..=on_map(at + far)
        };
        for row in range(y, self.rows) {
            for column in range(x, self.columns) {
                let distance = |at: i64, cell: i64| {
                    let from = cell * self.size;
                    (from - at).max(at - (from + self.size - 1)).max(0)
                };
                let (dx, dy) = (distance(x, column), distance(y, row));
                let squared = dx * dx + dy * dy;
                let segment = self.segment(column, row);
                if squared <= near * near || squared <= far * far && before.binary_search(&segment).is_ok() {
                    view.push(segment);
                }
            }
        }
    }

    fn segment(&self, column: i64, row: i64) -> SegmentId {
        SegmentId(self.first + (row * self.columns + column) as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sees_a_place_has_its_cell() {
        let grid = Grid::new(1_000, 500, 70, 5);
        for (x, y, radius) in [(0, 0, 100), (500, 250, 33), (1_000, 500, 250), (999, 0, 1), (350, 69, 0)] {
            let mut view = Vec::new();
            grid.look(x, y, radius, &[], &mut view);
            assert!(view.is_sorted_by(|a, b| a < b), "each once");
            for (at_x, at_y) in (0..=1_000).flat_map(|x| (0..=500).map(move |y| (x, y))) {
                let (dx, dy) = (i64::from(at_x - x), i64::from(at_y - y));
                if dx * dx + dy * dy <= i64::from(radius) * i64::from(radius) {
                    assert!(view.contains(&grid.cell(at_x, at_y)), "{at_x}, {at_y} from {x}, {y}");
                }
            }
        }
        assert_eq!(grid.cell(-5, 9_999), grid.cell(0, 500), "off the map is at its border");
    }

    #[test]
    fn along_a_border_nothing_comes_and_goes() {
        let grid = Grid::new(1_000, 1_000, 100, 0);
        let look = |x, before: &[SegmentId]| {
            let mut view = Vec::new();
            grid.look(x, 50, 30, before, &mut view);
            view
        };
        let (near, far) = (look(270, &[]), look(269, &[]));
        assert_ne!(near, far, "with 270 the cell from 300 on is seen");
        assert_eq!(look(269, &near), near, "who had it keeps it");
        assert_eq!(look(245, &near), near);
        assert_eq!(look(244, &near), far, "until it is a quarter of a cell further away");
    }

    #[test]
    #[should_panic(expected = "are more than 4096")]
    fn there_are_no_more_cells_than_segments() {
        Grid::new(6_400, 6_400, 100, 0);
    }
}
