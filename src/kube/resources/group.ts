/** The API group of the resources, and the prefix of our labels, annotations and finalizers. */
export const GROUP = "apitoken.dev";
export const VERSION = "v1alpha1";
export const API_VERSION = `${GROUP}/${VERSION}`;

/** While an ApiToken carries it, its rows and its Secret are not cleaned up yet. */
export const FINALIZER = `${GROUP}/revoke`;

/** The Secrets that the controller wrote; the only ones that it watches. */
export const MANAGED_LABEL = `${GROUP}/managed`;

/** Each new value that a user gives it on an ApiToken asks for one rotation; on a Secret it tells which one was made. */
export const ROTATE_ANNOTATION = `${GROUP}/rotate-requested-at`;

/** The parts of metadata that we read, of any resource. */
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

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}
