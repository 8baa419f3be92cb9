/**
 * Requests of the transmission phase: bytes to fields, and whether the protocol allows a request.
 *
 * Not here: what requests do (src/exports).
 */
import { NBD_LARGE_BYTES } from "../core/limits.ts";
import { BLOCK_BYTES_MAX, type Device } from "./device.ts";
import {
  COMMAND,
  COMMAND_FLAG,
  ERRNO,
  type Errno,
  EXTENDED_REQUEST_BYTES,
  EXTENDED_REQUEST_MAGIC,
  FORM,
  type Form,
  REQUEST_BYTES,
  REQUEST_MAGIC,
} from "./protocol.ts";

/** What a reply has to know of its request. */
export interface Answered {
  readonly type: number;
  /** Identifies the request to its client; 64 bits as two words. */
  readonly cookieHi: number;
  readonly cookieLo: number;
  readonly offsetHi: number;
  readonly offsetLo: number;
  readonly byteCount: number;
}

/** One request. A scratch object, filled again for each: valid during the call that has it. */
export class Request implements Answered {
  flags = 0;
  type = 0;
  cookieHi = 0;
  cookieLo = 0;
  /** As two words: extended replies repeat it even where a number would not be exact. */
  offsetHi = 0;
  offsetLo = 0;
  byteCount = 0;
  private isExtended = false;
  /** The data of a write: `bytes` from `at`. */
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;

  /** @returns false for a wrong magic number or too much data: the stream is to be closed. */
  read(view: DataView, at: number, form: Form): boolean {
    this.isExtended = form === FORM.EXTENDED;
    const magic = this.isExtended ? EXTENDED_REQUEST_MAGIC : REQUEST_MAGIC;
    if (view.getUint32(at) !== magic) return false;
    this.flags = view.getUint16(at + 4);
    this.type = view.getUint16(at + 6);
    this.cookieHi = view.getInt32(at + 8);
    this.cookieLo = view.getInt32(at + 12);
    this.offsetHi = view.getUint32(at + 16);
    this.offsetLo = view.getUint32(at + 20);
    this.byteCount = view.getUint32(at + 24);
    if (!this.isExtended) return true;
    this.byteCount = this.byteCount * 0x1_0000_0000 + view.getUint32(at + 28);
    return this.dataBytes <= BLOCK_BYTES_MAX;
  }

  /** Not exact from 2^53 on, but then it is beyond the end of any export. */
  get offset(): number {
    return this.offsetHi * 0x1_0000_0000 + this.offsetLo;
  }

  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }

  /**
   * Bytes of data behind the header. A write has data even without PAYLOAD_LEN, which QEMU 10.0
   * leaves out.
   */
  get dataBytes(): number {
    const hasData = this.type === COMMAND.WRITE || (this.isExtended && this.has(PAYLOAD_LEN));
    return hasData ? this.byteCount : 0;
  }

  /** Bytes of data behind the header of the reply, if it is no error. */
  get replyBytes(): number {
    return this.type === COMMAND.READ ? this.byteCount : 0;
  }

  /** What it needs of the memory for large requests: 0 if it is not large. */
  get largeBytes(): number {
    const byteCount = this.dataBytes + this.replyBytes;
    return byteCount > NBD_LARGE_BYTES ? byteCount : 0;
  }
}

/** Bytes of a request's header. */
export function requestBytes(form: Form): number {
  return form === FORM.EXTENDED ? EXTENDED_REQUEST_BYTES : REQUEST_BYTES;
}

interface Rule {
  readonly flags: number;
  /** The error for a range that ends beyond the export. */
  readonly beyond: Errno;
  /** Whether the request or its reply carries data. */
  readonly hasData: boolean;
}

const { FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO, PAYLOAD_LEN } = COMMAND_FLAG;

/** Commands and their allowed flags. FUA is allowed with all: answered data is always stored. */
const RULES: ReadonlyMap<number, Rule> = new Map<number, Rule>([
  [COMMAND.READ, { flags: FUA | DF, beyond: ERRNO.EINVAL, hasData: true }],
  [COMMAND.WRITE, { flags: FUA | PAYLOAD_LEN, beyond: ERRNO.ENOSPC, hasData: true }],
  [COMMAND.FLUSH, { flags: FUA, beyond: ERRNO.EINVAL, hasData: false }],
  [COMMAND.TRIM, { flags: FUA, beyond: ERRNO.EINVAL, hasData: false }],
  [COMMAND.CACHE, { flags: FUA, beyond: ERRNO.EINVAL, hasData: false }],
  [
    COMMAND.WRITE_ZEROES,
    { flags: FUA | NO_HOLE | FAST_ZERO, beyond: ERRNO.ENOSPC, hasData: false },
  ],
  [COMMAND.BLOCK_STATUS, { flags: FUA | REQ_ONE, beyond: ERRNO.EINVAL, hasData: false }],
]);

/** What client and server have negotiated. */
export interface Negotiated {
  readonly form: Form;
  readonly hasAllocation: boolean;
}

/** @returns why the request is not allowed, or OK. */
export function invalidRequest(request: Request, device: Device, negotiated: Negotiated): Errno {
  const rule = RULES.get(request.type);
  if (rule === undefined || (request.flags & ~rule.flags) !== 0) return ERRNO.EINVAL;
  const { offset, byteCount, type } = request;
  if (request.has(DF) && negotiated.form === FORM.SIMPLE) return ERRNO.EINVAL;
  if (request.has(PAYLOAD_LEN) && negotiated.form !== FORM.EXTENDED) return ERRNO.EINVAL;
  if (type === COMMAND.FLUSH) return offset === 0 && byteCount === 0 ? ERRNO.OK : ERRNO.EINVAL;
  if (offset > device.byteCount || byteCount > device.byteCount - offset) return rule.beyond;
  if (rule.hasData && byteCount > BLOCK_BYTES_MAX) {
    return request.has(DF) ? ERRNO.EOVERFLOW : ERRNO.EINVAL;
  }
  if (type === COMMAND.BLOCK_STATUS && (!negotiated.hasAllocation || byteCount === 0)) {
    return ERRNO.EINVAL;
  }
  return ERRNO.OK;
}
