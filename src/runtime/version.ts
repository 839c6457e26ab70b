import manifest from "../../package.json" with { type: "json" };

/** The version of all programs: that of package.json. */
export const VERSION: string = manifest.version;
