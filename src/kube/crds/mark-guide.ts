/*
 * The labels, annotations and finalizers in docs/api.md, which no schema can hold either.
 */
import { FINALIZER, MANAGED_LABEL, ROTATE_ANNOTATION } from "../resources/group.ts";

/** A label, annotation or finalizer. */
export interface MarkGuide {
  readonly on: string;
  readonly name: string;
  readonly setBy: string;
  readonly meaning: string;
}

export const MARK_GUIDES: readonly MarkGuide[] = [
  {
    on: "ApiToken, annotation",
    name: ROTATE_ANNOTATION,
    setBy: "you",
    meaning:
      "Each new value asks for one rotation, even if `rotation.policy` is `Disabled`. Use the current time. `status.lastHandledRotateAt` has the value that was answered last. A value that follows another too soon waits for the policy's `rotation.minRequestInterval`.",
  },
  {
    on: "ApiToken, annotation",
    name: "apitoken.dev/requested-by",
    setBy: "API server",
    meaning:
      "Who created the ApiToken, last changed its spec or last asked for a rotation: see [people.md](people.md#who-asked).",
  },
  {
    on: "ApiToken, finalizer",
    name: FINALIZER,
    setBy: "controller",
    meaning:
      "Delays the deletion until the token is revoked. Never remove it by hand; `controller uninstall` does it safely.",
  },
  {
    on: "Secret, label",
    name: MANAGED_LABEL,
    setBy: "controller",
    meaning: '`"true"` on every Secret that the controller manages; use it as a label selector.',
  },
  {
    on: "Secret, annotation",
    name: "apitoken.dev/token-id",
    setBy: "controller",
    meaning: "Public id of the token in it.",
  },
  {
    on: "Secret, annotation",
    name: "apitoken.dev/expires-at",
    setBy: "controller",
    meaning: "When the token in it expires (RFC 3339).",
  },
  {
    on: "Secret, annotation",
    name: ROTATE_ANNOTATION,
    setBy: "controller",
    meaning: "The request for a rotation that the token in it answers.",
  },
  {
    on: "Secret, annotation",
    name: "apitoken.dev/applied-keys",
    setBy: "controller",
    meaning: "Internal: which labels and annotations come from the spec.",
  },
  {
    on: "Secret, annotation",
    name: "apitoken.dev/contents-seal",
    setBy: "controller",
    meaning: "Internal: with `secret.data`, an HMAC that shows whether the values still match the spec.",
  },
  {
    on: "Secret, annotation",
    name: "apitoken.dev/hash-proof",
    setBy: "controller",
    meaning: "Internal: with bcrypt, an HMAC that replaces the slow comparison.",
  },
  {
    on: "keyring's Secret, annotation",
    name: "apitoken.dev/warning",
    setBy: "controller",
    meaning: "Reminds you to back up the keyring.",
  },
];
