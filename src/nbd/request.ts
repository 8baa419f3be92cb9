/**
 * Requests of the transmission phase: bytes to fields, and whether the protocol allows them.
 *
 * Not here: what they do.
 */
import { BLOCK_BYTES_MAX, type Device } from "./device.ts";
import { COMMAND, COMMAND_FLAG, ERRNO, type Errno, REQUEST_MAGIC } from "./protocol.ts";

/** One request. A scratch object, filled again for each: good during the call that has it. */
export class Request {
  flags = 0;
  type = 0;
  /** What the client tells its requests apart by, as two words. */
  cookieHi = 0;
  cookieLo = 0;
  offset = 0;
  byteCount = 0;
  /** What is to be written: `bytes` from `at`. */
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;

  /** @returns false when it is no request: the stream is out of step. */
  read(view: DataView, at: number): boolean {
    if (view.getUint32(at) !== REQUEST_MAGIC) return false;
    this.flags = view.getUint16(at + 4);
    this.type = view.getUint16(at + 6);
    this.cookieHi = view.getInt32(at + 8);
    this.cookieLo = view.getInt32(at + 12);
    // Past 2^53 it is no longer exact, and beyond the end of everything all the same.
    this.offset = view.getUint32(at + 16) * 0x1_0000_0000 + view.getUint32(at + 20);
    this.byteCount = view.getUint32(at + 24);
    return true;
  }

  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }

  /** What follows the header. */
  get dataBytes(): number {
    return this.type === COMMAND.WRITE ? this.byteCount : 0;
  }

  /** What follows the header of the reply, if all goes well. */
  get replyBytes(): number {
    return this.type === COMMAND.READ ? this.byteCount : 0;
  }
}

interface Rule {
  readonly flags: number;
  /** Of a range that ends beyond the export. */
  readonly beyond: Errno;
  /** Its data is in the request or in the reply. */
  readonly hasData: boolean;
}

const { FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO } = COMMAND_FLAG;

/** FUA is allowed with every command: there is nothing that it would have to wait for. */
const RULES: ReadonlyMap<number, Rule> = new Map<number, Rule>([
  [COMMAND.READ, { flags: FUA | DF, beyond: ERRNO.EINVAL, hasData: true }],
  [COMMAND.WRITE, { flags: FUA, beyond: ERRNO.ENOSPC, hasData: true }],
  [COMMAND.FLUSH, { flags: FUA, beyond: ERRNO.EINVAL, hasData: false }],
  [COMMAND.TRIM, { flags: FUA, beyond: ERRNO.EINVAL, hasData: false }],
  [COMMAND.CACHE, { flags: FUA, beyond: ERRNO.EINVAL, hasData: false }],
  [
    COMMAND.WRITE_ZEROES,
    { flags: FUA | NO_HOLE | FAST_ZERO, beyond: ERRNO.ENOSPC, hasData: false },
  ],
  [COMMAND.BLOCK_STATUS, { flags: FUA | REQ_ONE, beyond: ERRNO.EINVAL, hasData: false }],
]);

/** What was agreed upon. */
export interface Agreed {
  readonly isStructured: boolean;
  readonly hasAllocation: boolean;
}

/** @returns why the request is not allowed, or OK. */
export function invalidRequest(request: Request, device: Device, agreed: Agreed): Errno {
  const rule = RULES.get(request.type);
  if (rule === undefined || (request.flags & ~rule.flags) !== 0) return ERRNO.EINVAL;
  if (request.has(DF) && !agreed.isStructured) return ERRNO.EINVAL;
  const { offset, byteCount, type } = request;
  if (type === COMMAND.FLUSH) return offset === 0 && byteCount === 0 ? ERRNO.OK : ERRNO.EINVAL;
  if (offset > device.byteCount || byteCount > device.byteCount - offset) return rule.beyond;
  if (rule.hasData && byteCount > BLOCK_BYTES_MAX) {
    return request.has(DF) ? ERRNO.EOVERFLOW : ERRNO.EINVAL;
  }
  if (type === COMMAND.BLOCK_STATUS && (!agreed.hasAllocation || byteCount === 0)) {
    return ERRNO.EINVAL;
  }
  return ERRNO.OK;
}
