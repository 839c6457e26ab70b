/*
 * What an owner may be called. An OwnerBlock that accepted a name that no ApiToken can have would look as if it had blocked
 * somebody.
 */
/** In JavaScript, in CEL and in the checks of `migrations/`: visible ASCII characters. */
export const OWNER_PATTERN = "^[!-~]+$";

/** The longest name of an owner, in characters. */
export const OWNER_MAX_LENGTH = 253;

const OWNER = new RegExp(OWNER_PATTERN);

/** Whether an ApiToken can have this owner. */
export function isOwner(text: string): boolean {
  return text.length <= OWNER_MAX_LENGTH && OWNER.test(text);
}
