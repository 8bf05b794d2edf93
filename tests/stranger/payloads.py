"""The payloads of state frames, from docs/wire.md, sections 7.4 to 7.7: prior, diff, snapshot, catch-up."""

from coder import LEVEL_MAX, NUMBER, Adaptive, Coder, zero_of_level
from state import ENTITIES_MAX, Entity, World
from wire import Broken

SMALL_KIND = 32

# 7.5: where the models of a kind and of a field are, counted from its first one.
CHANGED, GONE, WOKEN_COUNT = 0, 192, 194
WOKEN_GAP, BORN_COUNT, BORN_GAP = WOKEN_COUNT + NUMBER, WOKEN_COUNT + 2 * NUMBER, WOKEN_COUNT + 3 * NUMBER
KIND_MODELS = WOKEN_COUNT + 4 * NUMBER
DIFFERS, SIGN, RESIDUAL = 0, 81, 108
RESIDUAL_UNARY = 12
MANTISSA = RESIDUAL + 8 * 4 * RESIDUAL_UNARY
BIRTH_DIFFERS, BIRTH_SIGN, BIRTH_NUMBER = MANTISSA + 36, MANTISSA + 37, MANTISSA + 38
INT_MODELS = BIRTH_NUMBER + NUMBER
TEXT_MODELS = 3


class Models:
    """Which models a schema has: the first of each kind and of each of its fields."""

    def __init__(self, schema):
        self.count, self.kinds = 0, []
        for kind in schema.kinds:
            base = self.take(KIND_MODELS)
            fields = [self.take(TEXT_MODELS if field.text else INT_MODELS) for field in kind.fields]
            self.kinds.append((base, fields))

    def take(self, count):
        self.count += count
        return self.count - count


class Prior:
    """Section 7.4."""

    def __init__(self, schema, payload=b"\0"):
        self.models = Models(schema)
        if not payload:
            raise Broken("a prior without its number")
        self.number = payload[0]
        self.levels = read_levels(payload[1:], self.models.count)
        self.zeros = [zero_of_level(level) for level in self.levels]


def read_levels(data, count):
    coder = Adaptive(data, 12 + NUMBER)
    sign = lambda level: (level > 0) - (level < 0) + 1
    levels, before, earlier = [], 0, 0
    for _ in range(count):
        level = coder.optional(3 * sign(before) + sign(earlier), 9 + sign(before), 12)
        if abs(level) > LEVEL_MAX:
            raise Broken(f"level {level}")
        levels.append(level)
        before, earlier = level, before
    coder.finish()
    return levels


# 7.5: contexts


def bits(value):
    return abs(value).bit_length()


def limited(value, limits):
    """The place of the first limit that is not exceeded."""
    return next((place for place, limit in enumerate(limits) if value <= limit), len(limits))


ECHO = [limited(width, (0, 1, 2, 4)) for width in range(40)]
PACE = [limited(width, (0, 3)) for width in range(40)]
BESIDE = [limited(width, (0, 2, 5)) for width in range(40)]


class Habit:
    """How one integer of an entity moved, as far as it chooses models."""

    def __init__(self, field, last, prior, older):
        self.guess = field.guess(last, prior)
        self.step = field.difference(last, prior)
        self.echo = field.difference(last, field.guess(prior, older))
        width = bits(self.echo)
        self.width = width
        echo = 2 * ECHO[width] - (self.echo > 0) if self.echo else 0
        pace = PACE[bits(self.step)]
        direction = (self.step > 0) - (self.step < 0) + 1
        self.differs = DIFFERS + (echo * 3 + pace) * 3
        self.sign = SIGN + echo * 3 + direction
        self.residual = RESIDUAL + min(width, 7) * 4 * RESIDUAL_UNARY


def habits(entity):
    values = zip(entity.kind.fields, entity.last, entity.prior, entity.older)
    return [None if field.text else Habit(field, last, prior, older) for field, last, prior, older in values]


def changed_context(of_fields):
    numbers = [habit for habit in of_fields if habit is not None]
    surprised = min(sum(habit.echo != 0 for habit in numbers), 3)
    moving = any(habit.step for habit in numbers)
    widest = min(max((habit.width for habit in numbers), default=0), 5)
    return CHANGED + ((surprised * 2 + moving) * 6 + widest) * 4


def index_after(before, gap):
    if before + 1 + gap >= ENTITIES_MAX:
        raise Broken(f"index {before + 1 + gap}")
    return before + 1 + gap


def counted(coder, unary, limit):
    count = coder.number(unary)
    if count > limit:
        raise Broken(f"a count of {count}")
    return count


class Diff:
    """Section 7.5: one diff that is applied to a world."""

    def __init__(self, world, prior, payload, decisions=None):
        self.coder = Coder(payload, prior.zeros)
        self.coder.decisions = decisions
        tables = [self.kind(kind, table, *prior.models.kinds[kind.number])
                  for kind, table in zip(world.schema.kinds, world.tables)]
        self.coder.finish()
        self.world = World(world.schema, tables)

    def kind(self, kind, table, base, fields):
        after = dict(table)
        small = len(table) <= SMALL_KIND
        neighbours = 0
        for index in sorted(table):
            entity = table[index]
            if not small and not entity.moving:
                continue
            of_fields = habits(entity)
            changed = self.coder.bit(base + changed_context(of_fields) + neighbours)
            neighbours = (neighbours << 1 | changed) & 3
            if changed:
                self.entity(after, entity, of_fields, base + GONE, fields)
            else:
                after[index] = entity.go_on()
        if not small:
            self.woken(table, after, base, fields)
        self.born(kind, table, after, base, fields)
        return after

    def woken(self, table, after, base, fields):
        index = -1
        for _ in range(counted(self.coder, base + WOKEN_COUNT, len(table))):
            index = index_after(index, self.coder.number(base + WOKEN_GAP))
            entity = table.get(index)
            if entity is None or entity.moving:
                raise Broken(f"index {index} is not one that lies still")
            self.entity(after, entity, habits(entity), base + GONE + 1, fields)

    def entity(self, after, entity, of_fields, gone, fields):
        """One of which it is known that it changes."""
        if self.coder.bit(gone):
            del after[entity.index]
            return
        values = list(entity.last)
        texts, flags, widest = [], 0, 0
        for f, field in enumerate(entity.kind.fields):
            base, habit = fields[f], of_fields[f]
            before = (flags & 1) + (flags >> 1 & 1)
            only = flags == 0 and f == len(fields) - 1
            differs = 1 if only else self.coder.bit(base + (before if field.text else habit.differs + before))
            flags = flags << 1 | differs
            if field.text:
                texts += [f] if differs else []
            elif differs:
                unary = base + habit.residual + BESIDE[widest] * RESIDUAL_UNARY
                residual = self.coder.difference(base + habit.sign, unary, base + MANTISSA, RESIDUAL_UNARY)
                widest = max(widest, bits(residual))
                values[f] = field.displaced(habit.guess, residual)
            else:
                values[f] = habit.guess
        for f in texts:
            values[f] = self.coder.text(entity.kind.fields[f].bytes_max)
        after[entity.index] = entity.next(values)

    def born(self, kind, table, after, base, fields):
        index = -1
        for _ in range(counted(self.coder, base + BORN_COUNT, ENTITIES_MAX)):
            index = index_after(index, self.coder.number(base + BORN_GAP))
            starts = [start + BIRTH_DIFFERS for start in fields]
            after[index] = birth(self.coder, kind, table, index, starts)


def birth(coder, kind, table, index, starts):
    """A newborn: for each integer its difference from the default, by models that stand side by side."""
    coder.mark()
    if index in table:
        raise Broken(f"a birth of {kind.name}:{index}, which is there")
    return Entity(kind, index, [
        coder.text(field.bytes_max) if field.text
        else field.within(field.default + coder.optional(start, start + 1, start + 2))
        for field, start in zip(kind.fields, starts)
    ])


class Snapshot:
    """Section 7.6."""

    VALUE = 3 + NUMBER
    KIND = 2 * NUMBER

    def __init__(self, schema, payload):
        models = sum(self.KIND + 3 * self.VALUE * len(kind.fields) for kind in schema.kinds)
        self.coder = Adaptive(payload, models)
        tables, base, total = [], 0, 0
        for kind in schema.kinds:
            count, index, table = self.coder.number(base), -1, {}
            for _ in range(count):
                index = index_after(index, self.coder.number(base + NUMBER))
                self.coder.mark()
                table[index] = self.entity(kind, index, base + self.KIND)
            tables.append(table)
            base += self.KIND + 3 * self.VALUE * len(kind.fields)
        self.coder.finish()
        self.world = World(schema, tables)

    def entity(self, kind, index, base):
        last, prior, older = [], [], []
        for f, field in enumerate(kind.fields):
            if field.text:
                values = [self.coder.text(field.bytes_max)] * 3
            else:
                values = self.motion(field, base + 3 * self.VALUE * f)
            for each, value in zip((last, prior, older), values):
                each.append(value)
        return Entity(kind, index, last, prior, older)

    def motion(self, field, base):
        value = self.value(base, 0)
        step = self.value(base + self.VALUE, value != 0)
        last = field.within(field.default + value)
        prior = field.before(last, step)
        if not field.linear:
            return last, prior, prior
        bend = self.value(base + 2 * self.VALUE, step != 0)
        return last, prior, field.before(prior, step + bend)

    def value(self, base, after):
        return self.coder.optional(base + after, base + 2, base + 3)


class CatchUp:
    """Section 7.7."""

    GONE, BORN_COUNT = 8, 9
    BORN_GAP, SIZE = BORN_COUNT + NUMBER, BORN_COUNT + 2 * NUMBER
    KIND = SIZE + NUMBER
    SIGN, BIRTH = 3, 4
    FIELD = BIRTH + 2 + NUMBER

    def __init__(self, world, span, known, payload, decisions=None):
        self.span, self.known = span, known
        models = sum(self.KIND + self.FIELD * len(kind.fields) for kind in world.schema.kinds)
        self.coder = Adaptive(payload, models)
        self.coder.decisions = decisions
        tables, base = [], 0
        for kind, table in zip(world.schema.kinds, world.tables):
            tables.append(self.kind(kind, table, base))
            base += self.KIND + self.FIELD * len(kind.fields)
        self.coder.finish()
        self.world = World(world.schema, tables)
        if span > 1:
            self.world = self.world.forget_steps()

    def kind(self, kind, table, base):
        after, neighbours = {}, 0
        for index in sorted(table):
            entity = table[index]
            changed = self.coder.bit(base + 4 * entity.moving + neighbours)
            neighbours = (neighbours << 1 | changed) & 3
            if not changed:
                after[index] = entity.next(self.guesses(entity))
            elif not self.coder.bit(base + self.GONE):
                after[index] = entity.next(self.values(entity, base))
        index = -1
        for _ in range(self.coder.number(base + self.BORN_COUNT)):
            index = index_after(index, self.coder.number(base + self.BORN_GAP))
            starts = [base + self.KIND + self.FIELD * f + self.BIRTH for f in range(len(kind.fields))]
            after[index] = birth(self.coder, kind, table, index, starts)
        return after

    def guesses(self, entity):
        values = zip(entity.kind.fields, entity.last, entity.prior, entity.older)
        return [last if field.text else self.guess(field, last, prior, older) for field, last, prior, older in values]

    def guess(self, field, last, prior, older):
        if not field.linear or self.known == 0:
            return last
        step = field.difference(last, prior)
        if self.known == 1:
            return field.fit(last + step * self.span)
        doubled = (step + field.difference(prior, older)) * self.span
        return field.fit(last + (doubled // 2 if doubled >= 0 else -(-doubled // 2)))

    def values(self, entity, base):
        values, flags = self.guesses(entity), 0
        for f, field in enumerate(entity.kind.fields):
            of_field = base + self.KIND + self.FIELD * f
            differs = self.coder.bit(of_field + (flags & 1) + (flags >> 1 & 1))
            flags = flags << 1 | differs
            if differs and field.text:
                values[f] = self.coder.text(field.bytes_max)
            elif differs:
                residual = self.coder.difference(of_field + self.SIGN, base + self.SIZE)
                values[f] = field.displaced(values[f], residual)
        return values
