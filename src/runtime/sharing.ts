/*
 * What thousands of objects have in common, kept once: JSON.parse makes a string of its own for each of them.
 */

/** So many different texts are shared; beyond that, sharing begins again. */
const MOST_SHARED = 20_000;

/** Longer texts are hardly ever the same, and whoever writes them must not choose how much is kept. */
const LONGEST = 128;

let texts = new Map<string, string>();
let lists = new Map<string, readonly string[]>();

/** The same text, as an object that others share. What is not a text is returned as it is. */
export function shareText<Value>(value: Value): Value {
  return typeof value === "string" && value.length <= LONGEST ? (share(texts, value, value) as Value) : value;
}

/** The same list of texts, as an object that others share. What is not such a list is returned as it is. */
export function shareList<Value>(value: Value): Value {
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) return value;
  const key = JSON.stringify(value);
  return key.length <= LONGEST ? (share(lists, key, value) as Value) : value;
}

function share<Value>(shared: Map<string, Value>, key: string, value: Value): Value {
  const known = shared.get(key);
  if (known !== undefined) return known;
  if (shared.size >= MOST_SHARED) {
    texts = new Map();
    lists = new Map();
  } else shared.set(key, value);
  return value;
}
