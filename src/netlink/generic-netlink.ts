/**
 * GenericNetlink: requests to a family of the kernel's generic netlink (linux/genetlink.h), each
 * with its answer. A call waits for the answer, which the kernel gives before `send` returns.
 *
 *     | length | type | flags | sequence | port |   command | version | 0 |   attributes
 *      `---------- struct nlmsghdr ------------'    `- struct genlmsghdr -'
 */
import { ptr } from "bun:ffi";
import { padded, readAttributes, textAttribute } from "./attributes.ts";
import { errnoOf, type Libc } from "./libc.ts";

const AF_NETLINK = 16;
/** SOCK_RAW and SOCK_CLOEXEC. */
const RAW = 3 | 0o2000000;
const NETLINK_GENERIC = 16;
const ADDRESS_BYTES = 12;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
/** The kernel answers within the call. This only bounds what a fault of it may do. */
const ANSWER_SECONDS = 2n;

const HEADER_BYTES = 16;
const HEADERS_BYTES = HEADER_BYTES + 4;
/** NLM_F_REQUEST and NLM_F_ACK. */
const REQUEST_ACK = 0x1 | 0x4;
const NLMSG_ERROR = 2;
const ANSWER_BYTES = 16 * 1024;

/** The controller, which knows the families: GENL_ID_CTRL. */
const CONTROLLER = 16;
const GET_FAMILY = 3;
const FAMILY_ID = 1;
const FAMILY_NAME = 2;

const EPROTO = 71;

export interface Answer {
  /** 0, or the error number. */
  readonly error: number;
  readonly attributes: ReadonlyMap<number, Uint8Array>;
}

export class GenericNetlink {
  private readonly libc: Libc;
  private readonly fd: number;
  private readonly answer = new Uint8Array(ANSWER_BYTES);
  private sequence = 0;

  /** `fd`: a socket of `openSocket`. */
  private constructor(libc: Libc, fd: number) {
    this.libc = libc;
    this.fd = fd;
  }

  /** @returns the error number when this kernel gives no socket. */
  static open(libc: Libc): GenericNetlink | number {
    const fd = libc.socket(AF_NETLINK, RAW, NETLINK_GENERIC);
    if (fd < 0) return errnoOf(libc);
    const own = new Uint8Array(ADDRESS_BYTES);
    new DataView(own.buffer).setUint16(0, AF_NETLINK, true);
    const timeout = new BigInt64Array([ANSWER_SECONDS, 0n]);
    libc.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, ptr(timeout), timeout.byteLength);
    // Bound to no port and connected to the kernel, which is port 0.
    const isOpen =
      libc.bind(fd, ptr(own), ADDRESS_BYTES) === 0 &&
      libc.connect(fd, ptr(own), ADDRESS_BYTES) === 0;
    if (isOpen) return new GenericNetlink(libc, fd);
    const error = errnoOf(libc);
    libc.close(fd);
    return error;
  }

  /** The number of the family, or null: this kernel has none of that name now. */
  family(name: string): number | null {
    const { error, attributes } = this.request(
      CONTROLLER,
      { command: GET_FAMILY, version: 1 },
      textAttribute(FAMILY_NAME, name),
    );
    const id = attributes.get(FAMILY_ID);
    if (error !== 0 || id === undefined || id.byteLength < 2) return null;
    return new DataView(id.buffer, id.byteOffset).getUint16(0, true);
  }

  request(
    family: number,
    { command, version }: { command: number; version: number },
    attributes: Uint8Array,
  ): Answer {
    const message = new Uint8Array(HEADERS_BYTES + attributes.byteLength);
    const view = new DataView(message.buffer);
    this.sequence += 1;
    view.setUint32(0, message.byteLength, true);
    view.setUint16(4, family, true);
    view.setUint16(6, REQUEST_ACK, true);
    view.setUint32(8, this.sequence, true);
    message[HEADER_BYTES] = command;
    message[HEADER_BYTES + 1] = version;
    message.set(attributes, HEADERS_BYTES);
    const sent = Number(this.libc.send(this.fd, ptr(message), message.byteLength, 0));
    if (sent < 0) return { error: errnoOf(this.libc), attributes: new Map() };
    return this.receive();
  }

  /** Receives until the acknowledgement of the last request. */
  private receive(): Answer {
    const { libc, answer } = this;
    let attributes: ReadonlyMap<number, Uint8Array> = new Map();
    for (;;) {
      const byteCount = Number(libc.recv(this.fd, ptr(answer), answer.byteLength, 0));
      if (byteCount < 0) return { error: errnoOf(libc), attributes };
      const view = new DataView(answer.buffer, 0, byteCount);
      for (let at = 0; at + HEADER_BYTES <= byteCount; ) {
        const length = view.getUint32(at, true);
        if (length < HEADERS_BYTES || at + length > byteCount) {
          return { error: EPROTO, attributes };
        }
        const isOurs = view.getUint32(at + 8, true) === this.sequence;
        if (isOurs && view.getUint16(at + 4, true) === NLMSG_ERROR) {
          return { error: -view.getInt32(at + HEADER_BYTES, true), attributes };
        }
        if (isOurs) attributes = readAttributes(answer.slice(at + HEADERS_BYTES, at + length));
        at += padded(length);
      }
    }
  }

  close(): void {
    this.libc.close(this.fd);
  }
}
