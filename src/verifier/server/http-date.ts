/*
 * The time of day as answers name it: RFC 9110, 5.6.7. To read a clock for each of them takes a tenth of what judging a token does.
 */

/** Returns what tells the time of day. It is made once a second; while nobody asks, no timer runs. */
export function createHttpDate(): () => string {
  let text: string | undefined;
  const forget = () => {
    text = undefined;
  };
  const make = () => {
    const now = new Date();
    setTimeout(forget, 1_000 - now.getMilliseconds()).unref();
    return now.toUTCString();
  };
  return () => {
    text ??= make();
    return text;
  };
}
