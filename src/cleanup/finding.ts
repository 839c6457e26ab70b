/** What is the matter with a target. An error keeps every run from starting; a warning and a note do not. */
export interface Finding {
  readonly level: "error" | "warning" | "note";
  readonly message: string;
}
