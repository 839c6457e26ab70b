/*
 * What the checks of targets and server report. It has a file of its own because the checks and their advice both need it.
 */

/** What a check found. An error keeps the target from being cleaned; a warning or a note does not. */
export interface CheckFinding {
  readonly level: "error" | "warning" | "note";
  readonly message: string;
}
