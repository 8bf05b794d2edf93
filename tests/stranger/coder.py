"""The range coder of state payloads, from docs/wire.md, section 7: bits, numbers and texts coded with models.

Nothing here knows what is coded. Section numbers are those of docs/wire.md.
"""

from wire import Broken

TOP = (1 << 48) - 1
HALF = 32768

# 7.2
LEVELS = (
    32768, 34813, 36843, 38841, 40793, 42687, 44511, 46254, 47911, 49474, 50941, 52310, 53581, 54754, 55834, 56822,
    57724, 58544, 59287, 59959, 60565, 61109, 61598, 62036, 62428, 62778, 63090, 63368, 63615, 63835, 64030, 64203,
    64357, 64494, 64614, 64721, 64816, 64900, 64974, 65039, 65097, 65149, 65194, 65234, 65269, 65300, 65328, 65352,
    65374, 65393, 65410, 65425, 65438, 65449, 65459, 65468, 65476, 65483, 65489, 65495, 65500, 65504, 65508, 65511,
)
LEVEL_MAX = len(LEVELS) - 1

# 7.3
UNARY = 18
MANTISSA = 36
NUMBER = UNARY + MANTISSA


def zero_of_level(level):
    return LEVELS[level] if level >= 0 else 65536 - LEVELS[-level]


class RangeDecoder:
    """7.1: reads bits of known probability."""

    def __init__(self, data):
        self.data, self.at = data, 0
        self.code, self.range = 0, TOP
        for _ in range(3):
            self.shift()

    def shift(self):
        """Takes two bytes in; behind the end are zeros."""
        pair = self.data[self.at : self.at + 2]
        self.at += 2
        self.code = self.code << 16 & TOP | int.from_bytes(pair + bytes(2 - len(pair)), "big")

    def bit(self, zero):
        bound = (self.range >> 16) * zero
        if self.code < bound:
            self.range = bound
            bit = 0
        else:
            self.code -= bound
            self.range -= bound
            bit = 1
        if self.range < 1 << 32:
            self.shift()
            self.range <<= 16
        return bit

    def raw(self, bits):
        self.range >>= bits
        value = min(self.code // self.range, (1 << bits) - 1)
        self.code -= value * self.range
        if self.range < 1 << 32:
            self.shift()
            self.range <<= 16
        return value

    def finish(self):
        if self.at < len(self.data):
            raise Broken(f"{len(self.data) - self.at} bytes left over")
        if self.data[-1:] == b"\0":
            raise Broken("a zero byte at the end")


class RangeEncoder:
    """The other direction, which a client does not need."""

    def __init__(self):
        self.out, self.low, self.range = bytearray(), 0, TOP

    def carry(self):
        if self.low > TOP:
            self.low &= TOP
            at = len(self.out) - 1
            while at >= 0 and self.out[at] == 255:
                self.out[at] = 0
                at -= 1
            if at >= 0:
                self.out[at] += 1

    def shift(self):
        if self.range < 1 << 32:
            self.carry()
            self.out += (self.low >> 32).to_bytes(2, "big")
            self.low = self.low << 16 & TOP
            self.range <<= 16

    def bit(self, zero, bit):
        bound = (self.range >> 16) * zero
        if bit:
            self.low += bound
            self.range -= bound
        else:
            self.range = bound
        self.shift()

    def raw(self, bits, value):
        self.range >>= bits
        self.low += value * self.range
        self.shift()

    def finish(self):
        last = self.low + self.range - 1
        for kept in range(7):
            free = (1 << (48 - 8 * kept)) - 1
            point = (self.low + free) & ~free
            if point <= last:
                self.low = point
                self.carry()
                self.out += self.low.to_bytes(6, "big")[:kept]
                break
        return bytes(self.out).rstrip(b"\0")


class Coder:
    """7.3: numbers, differences and texts, from bits with models and bits without."""

    def __init__(self, data, zeros):
        self.range = RangeDecoder(data)
        self.zeros = zeros
        self.decisions = None

    def bit(self, model):
        zero = self.zeros[model]
        bit = self.range.bit(zero)
        if self.decisions is not None:
            self.decisions.append((model, zero, bit))
        return bit

    def raw(self, bits):
        value = self.range.raw(bits)
        if self.decisions is not None:
            self.decisions.append(("raw", bits, value))
        return value

    def number(self, unary, mantissa=None, unary_models=UNARY):
        mantissa = unary + UNARY if mantissa is None else mantissa
        exponent = 0
        while exponent < 32 and self.bit(unary + min(exponent, unary_models - 1)):
            exponent += 1
        if exponent == 0:
            return 0
        model = mantissa + 3 * (min(exponent, 12) - 1)
        first = self.bit(model)
        value, left = 2 | first, exponent - 1
        if left > 0:
            value = value << 1 | self.bit(model + 1 + first)
            left -= 1
        while left > 0:
            bits = min(left, 16)
            value = value << bits | self.raw(bits)
            left -= bits
        return value - 1

    def difference(self, sign, unary, mantissa=None, unary_models=UNARY):
        negative = self.bit(sign)
        size = self.number(unary, mantissa, unary_models) + 1
        return -size if negative else size

    def optional(self, differs, sign, unary):
        """A difference that may be 0."""
        return self.difference(sign, unary) if self.bit(differs) else 0

    def text(self, bytes_max):
        length = 255 - self.raw(8)
        if length > bytes_max:
            raise Broken(f"a text of {length} bytes, at most {bytes_max}")
        data = bytes(255 - self.raw(8) for _ in range(length))
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Broken("not UTF-8") from error

    def mark(self):
        if self.raw(1) != 1:
            raise Broken("an entity without its mark")

    def finish(self):
        self.range.finish()


class Adaptive(Coder):
    """7.2: models that begin at one half and follow their bits."""

    def __init__(self, data, models):
        super().__init__(data, [HALF] * models)
        self.had = [0] * models

    def bit(self, model):
        bit = super().bit(model)
        self.zeros[model], self.had[model] = adapted(self.zeros[model], self.had[model], bit)
        return bit


def adapted(zero, had, bit):
    """Probability and count of a model after a bit."""
    shift = min(1 + had // 2, 5)
    if bit:
        return zero - (zero >> shift), had + 1
    return zero + (65535 - zero >> shift), had + 1
