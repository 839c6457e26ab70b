/*
 * The life of a token as one line: where now is between its issue, its renewal and its expiry.
 */

/** The moments of a token, as in its status. */
export interface Moments {
  readonly issuedAt: string;
  readonly renewAt: string | undefined;
  readonly expiresAt: string;
}

/** A line of this many characters: ├ issued, ┼ renewed, ┤ expires, ● now. */
export function drawTimeline({ issuedAt, renewAt, expiresAt }: Moments, now: Date, width: number): string {
  const from = Date.parse(issuedAt);
  const span = Math.max(1, Date.parse(expiresAt) - from);
  const last = width - 1;
  const placeOf = (ms: number) => Math.min(last, Math.max(0, Math.round(((ms - from) / span) * last)));
  const line = Array.from({ length: width }, () => "─");
  line[0] = "├";
  line[last] = "┤";
  if (renewAt !== undefined) line[placeOf(Date.parse(renewAt))] = "┼";
  line[placeOf(now.getTime())] = "●";
  return line.join("");
}
