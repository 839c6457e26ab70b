/*
 * The version has one place, package.json; bundlers put it into each program.
 */
import manifest from "../../package.json" with { type: "json" };

/** The version of all programs. */
export const VERSION: string = manifest.version;
