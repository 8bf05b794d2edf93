//! The arena's geometry in whole numbers: spots, walls, angles. No floats, so every node computes the same.

use std::ops::{Add, Sub};

/// A full turn of a 10-bit angle. 0 looks along x, a quarter turn along y (down, on a screen).
pub(super) const TURN: i32 = 1024;

/// Length of the vectors that [`direction`] gives.
pub(super) const DIRECTION_LENGTH: i32 = 16_384;

/// A bullet's way is looked at piece by piece, none longer than this: 8 units.
const PIECE_STEPS_MAX: i32 = 8 * 16;

/// Sine of every 64th part of a quarter turn, times [`DIRECTION_LENGTH`].
#[rustfmt::skip]
const SINES: [i32; 65] = [
    0, 402, 804, 1205, 1606, 2006, 2404, 2801, 3196, 3590, 3981, 4370, 4756,
    5139, 5520, 5897, 6270, 6639, 7005, 7366, 7723, 8076, 8423, 8765, 9102, 9434,
    9760, 10080, 10394, 10702, 11003, 11297, 11585, 11866, 12140, 12406, 12665, 12916, 13160,
    13395, 13623, 13842, 14053, 14256, 14449, 14635, 14811, 14978, 15137, 15286, 15426, 15557,
    15679, 15791, 15893, 15986, 16069, 16143, 16207, 16261, 16305, 16340, 16364, 16379, 16384,
];

/// A place on the map, or a way from one place to another; in steps of 1/16 unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) x: i32,
    pub(super) y: i32,
}

impl Spot {
    /// Whether two spots are at most `reach` steps apart.
    pub(super) fn is_within(self, reach: i32, other: Spot) -> bool {
        let (x, y, reach) = (i64::from(self.x - other.x), i64::from(self.y - other.y), i64::from(reach));
        x * x + y * y <= reach * reach
    }

    /// The spots that a flight by `way` passes, close enough together to miss nothing; the last is its end.
    pub(super) fn path(self, way: Spot) -> impl Iterator<Item = Spot> {
        let pieces = way.x.abs().max(way.y.abs()) / PIECE_STEPS_MAX + 1;
        (1..=pieces).map(move |piece| self + Spot { x: way.x * piece / pieces, y: way.y * piece / pieces })
    }
}

impl Add for Spot {
    type Output = Spot;
    fn add(self, way: Spot) -> Spot {
        Spot { x: self.x + way.x, y: self.y + way.y }
    }
}

impl Sub for Spot {
    type Output = Spot;
    fn sub(self, other: Spot) -> Spot {
        Spot { x: self.x - other.x, y: self.y - other.y }
    }
}

/// A wall: a rectangle along the axes, from its upper left corner to its lower right one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wall {
    pub(super) from: Spot,
    pub(super) to: Spot,
}

impl Wall {
    /// Whether a square around `spot`, `radius` steps to each side, overlaps the wall, not only touches it.
    pub(super) fn overlaps(&self, spot: Spot, radius: i32) -> bool {
        self.from.x < spot.x + radius
            && spot.x - radius < self.to.x
            && self.from.y < spot.y + radius
            && spot.y - radius < self.to.y
    }

    /// Whether the straight line between two spots leads through the wall.
    pub(super) fn is_between(&self, one: Spot, other: Spot) -> bool {
        let apart = |from: i32, to: i32, one: i32, other: i32| one.max(other) <= from || to <= one.min(other);
        if apart(self.from.x, self.to.x, one.x, other.x) || apart(self.from.y, self.to.y, one.y, other.y) {
            return false;
        }
        let corners = [
            (self.from.x, self.from.y),
            (self.to.x, self.from.y),
            (self.from.x, self.to.y),
            (self.to.x, self.to.y),
        ];
        let side = |(x, y): (i32, i32)| cross(other - one, Spot { x, y } - one).signum();
        let sides = corners.map(side);
        sides.contains(&1) && sides.contains(&-1)
    }
}

/// Where bodies and bullets can be: a map from (0, 0) to its lower right corner, and the walls on it.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) map: Spot,
    pub(super) walls: Vec<Wall>,
}

impl Ground {
    /// Where a square body comes to when it goes `way`: walls and the border of the map stop it on one axis and
    /// let it slide on the other. A body that starts free of walls ends free of walls.
    pub(super) fn slide(&self, spot: Spot, way: Spot, radius: i32) -> Spot {
        let Ground { map, walls } = self;
        let mut at = Spot { x: (spot.x + way.x).clamp(radius, map.x - radius), y: spot.y };
        for wall in walls {
            if wall.overlaps(at, radius) {
                at.x = if way.x > 0 { wall.from.x - radius } else { wall.to.x + radius };
            }
        }
        at.y = (spot.y + way.y).clamp(radius, map.y - radius);
        for wall in walls {
            if wall.overlaps(at, radius) {
                at.y = if way.y > 0 { wall.from.y - radius } else { wall.to.y + radius };
            }
        }
        at
    }

    /// Whether a wall or the border ends a bullet's flight there.
    pub(super) fn stops(&self, at: Spot) -> bool {
        let inside = (0..=self.map.x).contains(&at.x) && (0..=self.map.y).contains(&at.y);
        !inside || !self.is_free(at, 0)
    }

    /// Whether a square around a spot, `radius` steps to each side, overlaps no wall.
    pub(super) fn is_free(&self, spot: Spot, radius: i32) -> bool {
        !self.walls.iter().any(|wall| wall.overlaps(spot, radius))
    }

    /// Whether no wall is between two spots.
    pub(super) fn is_clear(&self, one: Spot, other: Spot) -> bool {
        !self.walls.iter().any(|wall| wall.is_between(one, other))
    }
}

/// The vector of length [`DIRECTION_LENGTH`] that points along a 10-bit angle.
pub(super) fn direction(angle: i32) -> Spot {
    Spot { x: sine(angle + TURN / 4), y: sine(angle) }
}

/// The 10-bit angle along which a way leads, rounded down; 0 for no way at all.
pub(super) fn heading(way: Spot) -> i32 {
    let (mut turned, mut angle) = (way, 0);
    while turned.x <= 0 || turned.y < 0 {
        if way == (Spot { x: 0, y: 0 }) {
            return 0;
        }
        turned = Spot { x: turned.y, y: -turned.x };
        angle += TURN / 4;
    }
    let (mut low, mut high) = (0, TURN / 4);
    while high - low > 1 {
        let middle = (low + high) / 2;
        if cross(direction(middle), turned) >= 0 { low = middle } else { high = middle }
    }
    angle + low
}

/// Positive when the second way leads to the right of the first, on a screen.
pub(super) fn cross(first: Spot, second: Spot) -> i64 {
    i64::from(first.x) * i64::from(second.y) - i64::from(first.y) * i64::from(second.x)
}

fn sine(angle: i32) -> i32 {
    let angle = angle & (TURN - 1);
    let (quarter, part) = (angle / (TURN / 4), angle % (TURN / 4));
    let part = if quarter % 2 == 0 { part } else { TURN / 4 - part };
    let (index, rest) = ((part / 4) as usize, part % 4);
    let next = SINES[(index + 1).min(SINES.len() - 1)];
    let size = SINES[index] + (next - SINES[index]) * rest / 4;
    if quarter < 2 { size } else { -size }
}

/// The whole number nearest to `dividend / divisor`, alike to both sides of 0. The divisor is positive.
pub(super) fn divide_round(dividend: i32, divisor: i32) -> i32 {
    (dividend + dividend.signum() * (divisor / 2)) / divisor
}
