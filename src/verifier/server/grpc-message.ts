/*
 * The messages of gRPC's unary calls, each behind five bytes: whether it is compressed, and its length.
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */

/** A call that has failed. `code` is one of gRPC's; `message` is ASCII, without "%". */
export interface GrpcFailure {
  readonly code: number;
  readonly message: string;
}

/** gRPC's status codes, as far as they are given here. */
export const GRPC = { invalidArgument: 3, notFound: 5, resourceExhausted: 8, unimplemented: 12, internal: 13 } as const;

/** A gateway's description of a request holds its headers, 60 kB at most by Envoy's default. */
export const MESSAGE_LIMIT_BYTES = 262_144;
const PREFIX_BYTES = 5;

const TOO_LARGE: GrpcFailure = {
  code: GRPC.resourceExhausted,
  message: `the message is larger than ${MESSAGE_LIMIT_BYTES} bytes`,
};
const COMPRESSED: GrpcFailure = { code: GRPC.unimplemented, message: "compressed messages are not supported" };

/** The pieces of a message, as they arrive. */
export class MessageReader {
  private readonly chunks: Buffer[] = [];
  private size = 0;
  private length = Number.POSITIVE_INFINITY;

  /** Takes what has arrived. Returns the message once it is complete, or what is wrong with it. */
  take(chunk: Buffer): Buffer | GrpcFailure | undefined {
    this.chunks.push(chunk);
    this.size += chunk.length;
    if (this.size < PREFIX_BYTES) return undefined;
    if (this.length === Number.POSITIVE_INFINITY) {
      const prefix = joined(this.chunks);
      if (prefix[0] !== 0) return COMPRESSED;
      this.length = prefix.readUInt32BE(1);
      if (this.length > MESSAGE_LIMIT_BYTES) return TOO_LARGE;
    }
    if (this.size < PREFIX_BYTES + this.length) return undefined;
    return joined(this.chunks).subarray(PREFIX_BYTES, PREFIX_BYTES + this.length);
  }
}

/** Almost every message arrives in one piece. */
function joined(chunks: readonly Buffer[]): Buffer {
  const [first] = chunks;
  return chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
}

/** A message as it is sent. `message` are its bytes as a Latin-1 string. */
export function frameMessage(message: string): Buffer {
  return Buffer.from(prefixMessage(message), "latin1");
}

/** Not compressed, and the length in four bytes. */
export function prefixMessage(message: string): string {
  const { length } = message;
  return `\0${String.fromCharCode(length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255)}${message}`;
}
