// Bounds that both ends of the wire agree on: docs/wire.md, section 9.1.

export const PROTOCOL = 5;
export const SUBPROTOCOL = 'tickcast.v5';

export const NAME_BYTES_MAX = 24;
export const CHAT_BYTES_MAX = 240;
export const CHAT_LINES_MAX = 64;
export const IDENT_BYTES_MAX = 32;
export const KINDS_MAX = 32;
export const FIELDS_MAX = 64;
export const INPUT_FIELDS_MAX = 32;
export const TEXT_BYTES_MAX = 255;
export const ENTITIES_MAX = 65_535;
export const SEQ_MAX = 2 ** 31 - 1;
export const SEQ_AHEAD_MAX = 64;
export const RECONNECT_URL_BYTES_MAX = 256;
