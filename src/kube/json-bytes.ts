/*
 * The bytes by which the readers of JSON texts find their way. In UTF-8 none of them is part of another character.
 */
export const QUOTE = 0x22;
export const BACKSLASH = 0x5c;
export const COMMA = 0x2c;
export const COLON = 0x3a;
export const OPENING = { brace: 0x7b, bracket: 0x5b };
export const CLOSING = { brace: 0x7d, bracket: 0x5d };
