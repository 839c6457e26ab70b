/*
 * The names that other people's manifests, selectors and scripts refer to. Changing one breaks them, so all names are
 * here and nowhere else.
 */
/** The API group of the resources, and the prefix of our labels, annotations and finalizers. */
export const GROUP = "apitoken.dev";
export const VERSION = "v1alpha1";
export const API_VERSION = `${GROUP}/${VERSION}`;

/** As long as an ApiToken has this finalizer, its tokens and its Secret have not been cleaned up. */
export const FINALIZER = `${GROUP}/revoke`;

/** Marks the Secrets that the controller has written. It watches no others. */
export const MANAGED_LABEL = `${GROUP}/managed`;

/** On an ApiToken, each new value requests one rotation. On a Secret, it is the value that was handled last. */
export const ROTATE_ANNOTATION = `${GROUP}/rotate-requested-at`;

/** Who created the ApiToken, last changed its spec or last asked for a rotation; the chart's admission policies keep it true. */
export const REQUESTER_ANNOTATION = `${GROUP}/requested-by`;

/** The parts of any resource's metadata that we read. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly finalizers?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
}

/** What is read of the metadata of a large object: what identifies it. Nobody reads its managedFields. */
export const IDENTITY_FIELDS = {
  name: "whole",
  namespace: "whole",
  uid: "whole",
  resourceVersion: "whole",
  generation: "whole",
  creationTimestamp: "whole",
  deletionTimestamp: "whole",
} as const;

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}
