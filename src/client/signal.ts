/** Signals: how a program gives up one call. The result of AbortController, in any runtime. */

/**
 * What the library needs of an AbortSignal. It is spelled out, so that the declarations depend
 * neither on those of a browser nor on those of Node.
 */
export interface CallSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** What each call takes. */
export interface CallOptions {
  /**
   * Gives up the call: it rejects at once with the signal's reason. The node may still carry out
   * what was sent, and its answer is ignored.
   */
  signal?: CallSignal | undefined;
  /** How long this call may wait for its answer, in place of the client's `timeoutMs`. */
  timeoutMs?: number | undefined;
}

/** Rejects with the signal's reason as soon as there is one, after `giveUp`. */
export async function unlessAborted<T>(
  signal: CallSignal | undefined,
  giveUp: () => void,
  work: Promise<T>,
): Promise<T> {
  if (signal === undefined) return work;
  if (signal.aborted) {
    work.catch(() => null); // It fails as well, and nobody waits for it.
    giveUp();
    throw signal.reason;
  }
  let listener = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    listener = (): void => {
      reject(signal.reason);
      giveUp();
    };
  });
  signal.addEventListener("abort", listener);
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", listener);
  }
}
