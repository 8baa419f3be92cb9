/**
 * The messages between the thread that serves and the Worker that compresses cold pages again.
 *
 *     open -> ready, then jobs, one at a time: recompress -> recompressed, train -> trained
 *     failed: the Worker cannot go on. The other side ends it
 *
 * Zpages are in memory that both threads share (zpage-batch.ts), and not in messages.
 */

/** What a Worker works with. */
export interface WorkerSettings {
  /** The libraries, by absolute path. Null: the codec of this program. */
  readonly lz4Path: string | null;
  readonly zstdPath: string | null;
}

export type ToWorker =
  | ({ readonly kind: "open"; readonly buffer: ArrayBufferLike } & WorkerSettings)
  | { readonly kind: "add"; readonly number: number; readonly dictionary: Uint8Array }
  | { readonly kind: "remove"; readonly number: number }
  | { readonly kind: "recompress"; readonly count: number }
  | {
      readonly kind: "train";
      readonly buffer: ArrayBufferLike;
      readonly capacity: number;
      readonly count: number;
    };

/** Pages of a job that stay as they are. */
export interface Faults {
  /** Inputs that do not decompress. */
  readonly badInputs: number;
  /** Outputs that did not give their page back. */
  readonly wrongOutputs: number;
}

export type FromWorker =
  | { readonly kind: "ready" }
  | ({ readonly kind: "recompressed"; readonly busyMs: number } & Faults)
  | ({
      readonly kind: "trained";
      readonly busyMs: number;
      readonly dictionary: Uint8Array | null;
    } & Faults)
  | { readonly kind: "failed"; readonly reason: string };
