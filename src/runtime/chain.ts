/*
 * What may be there at once. To wait for a promise of what is there already takes longer than most answers of a verifier.
 */

/** A value, now or later. */
export type Soon<Value> = Value | Promise<Value>;

/** Continues with a value: at once if it is there. */
export function chain<From, To>(value: Soon<From>, next: (value: From) => Soon<To>): Soon<To> {
  return value instanceof Promise ? value.then(next) : next(value);
}
