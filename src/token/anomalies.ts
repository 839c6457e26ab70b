/*
 * Uses of tokens that are unusual. Verifiers notice them, and people are told; nothing else ever follows from them.
 */
import type { Note } from "./notes.ts";
import { ANOMALY_KINDS } from "./reasons.ts";

export type AnomalyKind = (typeof ANOMALY_KINDS)[number];

/** Whether a text is one of the kinds. */
export function isAnomalyKind(text: string): text is AnomalyKind {
  return (ANOMALY_KINDS as readonly string[]).includes(text);
}

/** The Event for a token of which something unusual was noticed; `address` is where it came from last, if that is known. */
export function describeAnomaly(kind: AnomalyKind, tokenId: string, address: string | undefined): Note {
  const from = address === undefined ? "an unknown address" : address;
  const messages: Readonly<Record<AnomalyKind, string>> = {
    NewNetwork: `Token ${tokenId} was used from ${from}, in a network that it was not used from before.`,
    ManyAddresses: `Token ${tokenId} was used from many addresses within an hour, the last was ${from}: it may be shared.`,
    UnusualRate: `Token ${tokenId} was used far more often in a minute than ever before, lately from ${from}.`,
    WrongSecrets: `Somebody at ${from} shows the id of token ${tokenId} with wrong secrets, again and again.`,
  };
  return {
    type: "Warning",
    reason: kind,
    action: "Verify",
    message: `${messages[kind]} Nothing was done about it: if you cannot explain it, rotate or revoke the token.`,
  };
}
