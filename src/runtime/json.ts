/*
 * JSON from others may be anything. What is read of it is checked by a schema afterwards, which also refuses what was not JSON.
 */

/** The value of a JSON text; undefined if it is not one. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
