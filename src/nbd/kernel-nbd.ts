/**
 * KernelNbd: the nbd devices of the kernel of this machine, and what a server of them asks of it.
 * (Linux, Documentation/admin-guide/blockdev/nbd.rst, and drivers/block/nbd.c.)
 */

export interface KernelDevice {
  /** N of /dev/nbdN. */
  readonly index: number;
  /** What its server has named itself. */
  readonly backend: string;
}

export interface AttachRequest {
  /** Null: any free device. */
  readonly index: number | null;
  readonly byteCount: number;
  readonly blockBytes: number;
  /** Transmission flags (doc/proto.md, "Transmission flags"). */
  readonly flags: number;
  readonly backend: string;
  /** How long a request may take until its socket counts as dead. 0: for ever. */
  readonly requestSeconds: number;
  /** How long requests wait for another socket after that, before they fail. */
  readonly deadSeconds: number;
}

/** A device and the descriptor of its socket, at which requests arrive. */
export interface Attached {
  readonly index: number;
  readonly fd: number;
}

export interface KernelNbd {
  /** Attaches a device. @returns why that is not possible, as a phrase. */
  attach(request: AttachRequest): Attached | string;
  /**
   * Gives the device, whose socket is dead, another one.
   *
   * @returns its descriptor, or null: it was not taken, since the socket is not dead yet, or the
   * device is no longer attached with this backend.
   */
  attachAgain(device: KernelDevice): number | null;
  /** Detaches the device. The kernel sends NBD_CMD_DISC. @returns why it cannot. Null: it has. */
  detach(index: number): string | null;
  /** The devices that are attached with a backend. */
  devices(): KernelDevice[];
}
