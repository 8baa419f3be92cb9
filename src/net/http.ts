/** HTTP, as far as a node serves it: one small answer a request, given from outside (bun-http.ts). */
import type { TcpAddress } from "./address.ts";

export interface HttpAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export interface HttpListener {
  /** Where it listens, with the real port in place of 0. */
  readonly address: string;
  close(): Promise<void>;
}

/**
 * Listens on `address`. Throws RamsterError ADDRESS_IN_USE when it is taken,
 * CANNOT_LISTEN when it is no address of this machine.
 */
export type ServeHttp = (
  address: TcpAddress,
  answer: (method: string, path: string) => Promise<HttpAnswer>,
) => HttpListener;
