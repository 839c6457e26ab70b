/*
 * The exit codes of all programs in one table, so that a number means the same whichever program returns it: scripts,
 * the CronJob's retry policy and the alerts rely on them. docs/operations.md lists them.
 */

/** A command's `--help` says what those that it can return mean for it. */
export const EXIT = {
  done: 0,
  failed: 1,
  /** Another run with the same options and settings would end the same way. */
  badUsage: 2,
  /** The work would do harm, so that nothing was changed. */
  refused: 3,
  /** Ended early and cleanly, with work left. */
  stopped: 4,
  differences: 5,
} as const;

export type ExitName = keyof typeof EXIT;
