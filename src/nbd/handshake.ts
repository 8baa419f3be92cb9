/**
 * Handshake: the fixed newstyle negotiation of doc/proto.md, one method an option. It reads the
 * data of an option, writes the replies to the output, and returns what comes next.
 *
 *     greet() --> onClientFlags() --> onOption() ... --> "transmit" | "start tls" | "close"
 *
 * TLS is none, offered or required. Where it is required, every option but STARTTLS and ABORT is
 * refused until the stream is encrypted.
 *
 * Not here: cutting the stream into options (connection.ts), the pages of an export.
 */
import { quoted } from "../core/errors.ts";
import { PAGE_BYTES } from "../core/limits.ts";
import { BLOCK_BYTES_MAX, BLOCK_BYTES_MIN, type Device } from "./device.ts";
import { OptionData } from "./option-data.ts";
import { OptionReplies } from "./option-replies.ts";
import type { Output } from "./output.ts";
import {
  BASE_ALLOCATION,
  BASE_ALLOCATION_ID,
  DEVICE_FLAG,
  EXPORT_NAME_ZEROES,
  FORM,
  type Form,
  GREETING_BYTES,
  HANDSHAKE_FLAG,
  INFO,
  NBD_MAGIC,
  OPTION,
  OPTION_MAGIC,
  REPLY,
} from "./protocol.ts";

export type TlsMode = "none" | "offered" | "required";

export interface HandshakeSettings {
  readonly tls: TlsMode;
  /** The exports, in the order of LIST. The empty name stands for the first one. */
  devices(): readonly Device[];
  /** The node stops: options and requests are refused. */
  readonly isStopping: boolean;
}

/** What follows an option. */
export type Outcome = "option" | "transmit" | "start tls" | "close";

export const DEVICE_FLAGS =
  DEVICE_FLAG.HAS_FLAGS |
  DEVICE_FLAG.SEND_FLUSH |
  DEVICE_FLAG.SEND_FUA |
  DEVICE_FLAG.SEND_TRIM |
  DEVICE_FLAG.SEND_WRITE_ZEROES |
  DEVICE_FLAG.CAN_MULTI_CONN |
  DEVICE_FLAG.SEND_CACHE |
  DEVICE_FLAG.SEND_FAST_ZERO;

const CLIENT_FLAGS = HANDSHAKE_FLAG.FIXED_NEWSTYLE | HANDSHAKE_FLAG.NO_ZEROES;

export class Handshake {
  /** The export that the client has chosen, once an option returned "transmit". */
  device: Device | null = null;
  form: Form = FORM.SIMPLE;
  /** Why the last option was refused; "" if none was. */
  refusal = "";
  private isTls = false;
  private readonly settings: HandshakeSettings;
  private readonly output: Output;
  private readonly replies: OptionReplies;
  private readonly data = new OptionData();
  private noZeroes = false;
  /** The export for which the client has set base:allocation. */
  private allocationOf: Device | null = null;

  constructor(settings: HandshakeSettings, output: Output) {
    this.settings = settings;
    this.output = output;
    this.replies = new OptionReplies(output);
  }

  /** Whether the client may send BLOCK_STATUS for the chosen export. */
  get hasAllocation(): boolean {
    return (
      this.form >= FORM.STRUCTURED && this.device !== null && this.allocationOf === this.device
    );
  }

  greet(): void {
    const { output } = this;
    output.reserve(GREETING_BYTES);
    const { view, tail } = output;
    view.setUint32(tail, NBD_MAGIC.hi);
    view.setUint32(tail + 4, NBD_MAGIC.lo);
    view.setUint32(tail + 8, OPTION_MAGIC.hi);
    view.setUint32(tail + 12, OPTION_MAGIC.lo);
    view.setUint16(tail + 16, CLIENT_FLAGS);
    output.commit(GREETING_BYTES);
  }

  /** @returns false for flags that were not offered: the stream is to be closed. */
  onClientFlags(flags: number): boolean {
    this.noZeroes = (flags & HANDSHAKE_FLAG.NO_ZEROES) !== 0;
    return (flags & ~CLIENT_FLAGS) === 0;
  }

  /**
   * The stream is encrypted now. What was negotiated before is void: an attacker between the two
   * may have sent it (doc/proto.md, NBD_OPT_STARTTLS; CVE-2021-3716).
   */
  secured(): void {
    this.isTls = true;
    this.form = FORM.SIMPLE;
    this.allocationOf = null;
  }

  /** One option, whose data is `bytes[at]` to `bytes[at + byteCount]`. */
  onOption(option: number, bytes: Uint8Array, at: number, byteCount: number): Outcome {
    const { replies, data, settings } = this;
    replies.option = option;
    data.set(bytes, at, byteCount);
    if (option === OPTION.ABORT) return this.abort();
    if (settings.isStopping) return this.refuse(REPLY.ERR_SHUTDOWN, "the node is stopping");
    if (option === OPTION.STARTTLS) return this.startTls();
    if (settings.tls === "required" && !this.isTls) {
      return this.refuse(REPLY.ERR_TLS_REQD, "TLS is required: start with STARTTLS");
    }
    switch (option) {
      case OPTION.EXPORT_NAME:
        return this.exportName();
      case OPTION.LIST:
        return this.list();
      case OPTION.INFO:
      case OPTION.GO:
        return this.info(option);
      case OPTION.STRUCTURED_REPLY:
        return this.structuredReply();
      case OPTION.LIST_META_CONTEXT:
      case OPTION.SET_META_CONTEXT:
        return this.metaContext(option);
      case OPTION.EXTENDED_HEADERS:
        return this.extendedHeaders();
      default:
        return this.refuse(REPLY.ERR_UNSUP, "option not supported");
    }
  }

  /** An option whose data was too long, and was skipped. */
  onLongOption(option: number): Outcome {
    this.replies.option = option;
    return this.refuse(REPLY.ERR_TOO_BIG, "option data too long");
  }

  private abort(): Outcome {
    this.replies.ack();
    return "close";
  }

  private startTls(): Outcome {
    if (this.settings.tls === "none")
      return this.refuse(REPLY.ERR_POLICY, "TLS is not available: the node has no key");
    if (this.isTls) return this.refuse(REPLY.ERR_INVALID, "TLS is active already");
    if (this.data.byteCount > 0) return this.refuse(REPLY.ERR_INVALID, "this option takes no data");
    this.replies.ack();
    return "start tls";
  }

  /** The one option that cannot be refused: the stream is closed instead. */
  private exportName(): Outcome {
    const name = this.data.rest();
    const device = name === null ? null : this.find(name);
    if (device === null || this.form === FORM.EXTENDED) {
      this.refusal =
        device === null ? noExport(name) : "with extended headers, use GO instead of EXPORT_NAME";
      return "close";
    }
    const { output } = this;
    const byteCount = 10 + (this.noZeroes ? 0 : EXPORT_NAME_ZEROES);
    output.reserve(byteCount);
    const { view, tail } = output;
    view.setBigUint64(tail, BigInt(device.byteCount));
    view.setUint16(tail + 8, this.deviceFlags());
    output.bytes.fill(0, tail + 10, tail + byteCount);
    output.commit(byteCount);
    this.device = device;
    return "transmit";
  }

  private list(): Outcome {
    if (this.data.byteCount > 0) return this.refuse(REPLY.ERR_INVALID, "this option takes no data");
    for (const { name } of this.settings.devices()) this.replies.server(name);
    this.replies.ack();
    return "option";
  }

  /** INFO and GO differ in what follows. */
  private info(option: number): Outcome {
    const { data, replies } = this;
    const name = data.string();
    const count = data.u16();
    const wanted: number[] = [];
    for (let i = 0; i < (count ?? 0); i += 1) wanted.push(data.u16() ?? -1);
    if (name === null || count === null || !data.isAtEnd || wanted.includes(-1)) {
      return this.refuse(REPLY.ERR_INVALID, "malformed option data");
    }
    const device = this.find(name);
    if (device === null) return this.refuse(REPLY.ERR_UNKNOWN, noExport(name));
    replies.infoExport(device.byteCount, this.deviceFlags());
    if (wanted.includes(INFO.NAME)) replies.infoText(INFO.NAME, device.name);
    if (wanted.includes(INFO.DESCRIPTION)) replies.infoText(INFO.DESCRIPTION, device.description);
    // Sent even if it was not requested: clients that know it choose better block sizes.
    replies.infoBlockSize(BLOCK_BYTES_MIN, PAGE_BYTES, BLOCK_BYTES_MAX);
    replies.ack();
    if (option === OPTION.INFO) return "option";
    this.device = device;
    return "transmit";
  }

  private structuredReply(): Outcome {
    if (this.data.byteCount > 0) return this.refuse(REPLY.ERR_INVALID, "this option takes no data");
    if (this.form === FORM.EXTENDED) {
      return this.refuse(REPLY.ERR_EXT_HEADER_REQD, "extended headers are active already");
    }
    this.form = FORM.STRUCTURED;
    this.replies.ack();
    return "option";
  }

  private extendedHeaders(): Outcome {
    if (this.data.byteCount > 0) return this.refuse(REPLY.ERR_INVALID, "this option takes no data");
    this.form = FORM.EXTENDED;
    this.replies.ack();
    return "option";
  }

  private metaContext(option: number): Outcome {
    const { data, replies } = this;
    if (this.form === FORM.SIMPLE) {
      return this.refuse(REPLY.ERR_INVALID, "negotiate structured replies first");
    }
    const isSet = option === OPTION.SET_META_CONTEXT;
    if (isSet) this.allocationOf = null;
    const name = data.string();
    const count = data.u32();
    const queries: string[] = [];
    for (let left = count ?? 0; left > 0 && !data.isAtEnd; left -= 1) {
      const query = data.string();
      if (query === null) break;
      queries.push(query);
    }
    if (name === null || queries.length !== count || !data.isAtEnd) {
      return this.refuse(REPLY.ERR_INVALID, "malformed option data");
    }
    const device = this.find(name);
    if (device === null) return this.refuse(REPLY.ERR_UNKNOWN, noExport(name));
    const isAll = !isSet && queries.length === 0;
    if (isAll || queries.some((query) => matches(query, isSet))) {
      replies.metaContext(isSet ? BASE_ALLOCATION_ID : 0, BASE_ALLOCATION);
      if (isSet) this.allocationOf = device;
    }
    replies.ack();
    return "option";
  }

  private deviceFlags(): number {
    return this.form >= FORM.STRUCTURED ? DEVICE_FLAGS | DEVICE_FLAG.SEND_DF : DEVICE_FLAGS;
  }

  private find(name: string): Device | null {
    const devices = this.settings.devices();
    const device = devices.find((it) => it.name === name);
    return device ?? (name === "" ? devices[0] : null) ?? null;
  }

  private refuse(type: number, reason: string): Outcome {
    if (type !== REPLY.ERR_UNSUP) this.refusal = reason;
    // EXPORT_NAME cannot be answered with an error.
    if (this.replies.option === OPTION.EXPORT_NAME) return "close";
    this.replies.error(type, reason);
    return "option";
  }
}

function noExport(name: string | null): string {
  return name === null ? "malformed option data" : `no export ${quoted(name)}`;
}

/** LIST may name a whole namespace ("base:"); SET must name the context. */
function matches(query: string, isSet: boolean): boolean {
  return query === BASE_ALLOCATION || (!isSet && query === "base:");
}
