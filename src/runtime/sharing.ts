/*
 * What thousands of objects have in common, kept once: JSON.parse makes a string of its own for each of them.
 */

/** So many different values are shared; beyond that, sharing begins again. */
const MOST_SHARED = 20_000;

/** Longer texts are hardly ever the same, and whoever writes them must not choose how much is kept. */
const LONGEST = 128;

/** Returns what was made for a key, and makes it if it is not there. */
export type Shared<Value> = (key: string, make: () => Value) => Value;

/** Begins with nothing shared. */
export function createShared<Value>(): Shared<Value> {
  const values = new Map<string, Value>();
  return (key, make) => {
    const known = values.get(key);
    if (known !== undefined) return known;
    if (values.size >= MOST_SHARED) values.clear();
    const made = make();
    values.set(key, made);
    return made;
  };
}

const texts = createShared<string>();
const lists = createShared<readonly string[]>();

/** The same text, as an object that others share. What is not a text is returned as it is. */
export function shareText<Value>(value: Value): Value {
  return typeof value === "string" && value.length <= LONGEST ? (texts(value, () => value) as Value) : value;
}

/** The same list of texts, as an object that others share. What is not such a list is returned as it is. */
export function shareList<Value>(value: Value): Value {
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) return value;
  const key = JSON.stringify(value);
  return key.length <= LONGEST ? (lists(key, () => value) as Value) : value;
}
