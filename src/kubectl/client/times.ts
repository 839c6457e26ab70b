/*
 * Times as people read them. The exact time is printed as well where it matters: nobody can plan with "in 20d" alone.
 */
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** A span of time in one unit: "45s", "12m", "5h", "20d". */
export function formatSpan(spanMs: number): string {
  const ms = Math.max(0, spanMs);
  if (ms < 2 * MINUTE_MS) return `${Math.floor(ms / SECOND_MS)}s`;
  if (ms < 2 * HOUR_MS) return `${Math.floor(ms / MINUTE_MS)}m`;
  if (ms < 2 * DAY_MS) return `${Math.floor(ms / HOUR_MS)}h`;
  return `${Math.floor(ms / DAY_MS)}d`;
}

/** How far a time is from now: "in 20d", "3m ago". */
export function formatDistance(time: string, now: Date): string {
  const distanceMs = Date.parse(time) - now.getTime();
  return distanceMs > 0 ? `in ${formatSpan(distanceMs)}` : `${formatSpan(-distanceMs)} ago`;
}

/** A time with its distance: "2026-12-21T07:42:28Z (in 20d)". */
export function formatMoment(time: string, now: Date): string {
  return `${time} (${formatDistance(time, now)})`;
}

/** How old something is that was created then; empty if that is not known. */
export function formatAge(createdAt: string | undefined, now: Date): string {
  return createdAt === undefined ? "" : formatSpan(now.getTime() - Date.parse(createdAt));
}
