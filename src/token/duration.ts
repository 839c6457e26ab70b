/*
 * Durations as Go writes them ("720h", "1h30m", "10s"), because that is the format of Kubernetes' metav1.Duration.
 * https://pkg.go.dev/time#ParseDuration
 */
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** The pattern of a duration, for CRD validation. The CRD also limits the text to 20 characters. */
export const DURATION_PATTERN = "^([0-9]{1,7}(\\.[0-9]{1,3})?(ms|s|m|h))+$";

/** The milliseconds of a Go duration. Throws a RangeError with a message for the user if the text is not one. */
export function parseDuration(text: string): number {
  if (!new RegExp(DURATION_PATTERN).test(text)) {
    throw new RangeError(`"${text}" is not a duration; write it like "720h", "90m" or "1h30m"`);
  }
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/([0-9.]+)(ms|s|m|h)/g)) {
    totalMs += Number(amount) * (UNIT_MS[unit ?? ""] ?? Number.NaN);
  }
  return Math.round(totalMs);
}

/** The shortest text for a duration in whole hours, minutes, seconds and milliseconds: 5_400_000 is "1h30m". */
export function formatDuration(durationMs: number): string {
  let rest = durationMs;
  let text = "";
  for (const unit of ["h", "m", "s", "ms"]) {
    const size = UNIT_MS[unit] as number;
    const amount = Math.floor(rest / size);
    if (amount > 0) text += `${amount}${unit}`;
    rest -= amount * size;
  }
  return text || "0s";
}
