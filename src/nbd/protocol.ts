/**
 * Numbers and layouts of the NBD protocol, with the names of doc/proto.md in
 * NetworkBlockDevice/nbd. All fields are big-endian.
 *
 *     greeting     S: NBDMAGIC u64 | IHAVEOPT u64 | handshake flags u16     C: client flags u32
 *     option       C: IHAVEOPT u64 | option u32 | length u32 | data
 *     option reply S: REPLY u64 | option u32 | type u32 | length u32 | data
 *     request      C: magic u32 | flags u16 | type u16 | cookie u64 | offset u64 | length u32
 *                     data
 *     simple reply S: magic u32 | error u32 | cookie u64 | data
 *     chunk        S: magic u32 | flags u16 | type u16 | cookie u64 | length u32 | payload
 *
 * Extended headers (branch extension-ext-header of the same repository) replace two of them:
 *
 *     request      C: magic u32 | flags u16 | type u16 | cookie u64 | offset u64 | length u64
 *                     data
 *     chunk        S: magic u32 | flags u16 | type u16 | cookie u64 | offset u64 | length u64
 *                     payload
 *
 * README.md lists what is supported.
 */

/** A magic of 64 bits, as two words. */
export interface Magic {
  readonly hi: number;
  readonly lo: number;
}

/** "NBDMAGIC" and "IHAVEOPT". */
export const NBD_MAGIC: Magic = { hi: 0x4e42444d, lo: 0x41474943 };
export const OPTION_MAGIC: Magic = { hi: 0x49484156, lo: 0x454f5054 };
export const OPTION_REPLY_MAGIC: Magic = { hi: 0x0003e889, lo: 0x045565a9 };
export const REQUEST_MAGIC = 0x25609513;
export const SIMPLE_REPLY_MAGIC = 0x67446698;
export const CHUNK_MAGIC = 0x668e33ef;
export const EXTENDED_REQUEST_MAGIC = 0x21e41c71;
export const EXTENDED_CHUNK_MAGIC = 0x6e8a278c;

export const GREETING_BYTES = 18;
export const CLIENT_FLAGS_BYTES = 4;
export const OPTION_BYTES = 16;
export const OPTION_REPLY_BYTES = 20;
export const REQUEST_BYTES = 28;
export const SIMPLE_REPLY_BYTES = 16;
export const CHUNK_BYTES = 20;
export const EXTENDED_REQUEST_BYTES = 32;
export const EXTENDED_CHUNK_BYTES = 32;
/** In front of the data of an OFFSET_DATA chunk: its offset. */
export const CHUNK_OFFSET_BYTES = 8;
/** The longest header in front of the data of a read. */
export const READ_HEADER_BYTES_MAX = EXTENDED_CHUNK_BYTES + CHUNK_OFFSET_BYTES;
/** Zeros at the end of the reply to EXPORT_NAME, unless the client has set NO_ZEROES. */
export const EXPORT_NAME_ZEROES = 124;
/** The longest string: the name of an export, or a query. */
export const STRING_BYTES_MAX = 4096;

/** Handshake flags, and those that a client answers with. */
export const HANDSHAKE_FLAG = { FIXED_NEWSTYLE: 1, NO_ZEROES: 2 } as const;

export const OPTION = {
  EXPORT_NAME: 1,
  ABORT: 2,
  LIST: 3,
  STARTTLS: 5,
  INFO: 6,
  GO: 7,
  STRUCTURED_REPLY: 8,
  LIST_META_CONTEXT: 9,
  SET_META_CONTEXT: 10,
  EXTENDED_HEADERS: 11,
} as const;

export const REPLY = {
  ACK: 1,
  SERVER: 2,
  INFO: 3,
  META_CONTEXT: 4,
  ERR_UNSUP: 0x80000001,
  ERR_POLICY: 0x80000002,
  ERR_INVALID: 0x80000003,
  ERR_TLS_REQD: 0x80000005,
  ERR_UNKNOWN: 0x80000006,
  ERR_SHUTDOWN: 0x80000007,
  ERR_TOO_BIG: 0x80000009,
  ERR_EXT_HEADER_REQD: 0x8000000a,
} as const;

export const INFO = { EXPORT: 0, NAME: 1, DESCRIPTION: 2, BLOCK_SIZE: 3 } as const;

/** Transmission flags: what an export supports. */
export const DEVICE_FLAG = {
  HAS_FLAGS: 1 << 0,
  SEND_FLUSH: 1 << 2,
  SEND_FUA: 1 << 3,
  SEND_TRIM: 1 << 5,
  SEND_WRITE_ZEROES: 1 << 6,
  SEND_DF: 1 << 7,
  CAN_MULTI_CONN: 1 << 8,
  SEND_CACHE: 1 << 10,
  SEND_FAST_ZERO: 1 << 11,
} as const;

/** The negotiated headers of requests and replies. Each form includes the one before it. */
export const FORM = { SIMPLE: 0, STRUCTURED: 1, EXTENDED: 2 } as const;
export type Form = (typeof FORM)[keyof typeof FORM];

export const COMMAND = {
  READ: 0,
  WRITE: 1,
  DISC: 2,
  FLUSH: 3,
  TRIM: 4,
  CACHE: 5,
  WRITE_ZEROES: 6,
  BLOCK_STATUS: 7,
} as const;

export const COMMAND_FLAG = {
  FUA: 1 << 0,
  NO_HOLE: 1 << 1,
  DF: 1 << 2,
  REQ_ONE: 1 << 3,
  FAST_ZERO: 1 << 4,
  PAYLOAD_LEN: 1 << 5,
} as const;

export const CHUNK = {
  NONE: 0,
  OFFSET_DATA: 1,
  OFFSET_HOLE: 2,
  BLOCK_STATUS: 5,
  BLOCK_STATUS_EXT: 6,
  ERROR: 0x8001,
} as const;
/** On the last chunk of a reply. */
export const CHUNK_FLAG_DONE = 1;

/** The metadata context that the protocol defines, its number here, and its flags. */
export const BASE_ALLOCATION = "base:allocation";
export const BASE_ALLOCATION_ID = 1;
export const STATE = { HOLE: 1, ZERO: 2 } as const;

/** Errors of a request. OK is no error. */
export const ERRNO = {
  OK: 0,
  EIO: 5,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ESHUTDOWN: 108,
} as const;
export type Errno = (typeof ERRNO)[keyof typeof ERRNO];
