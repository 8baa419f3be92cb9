/**
 * Frames that must be refused. Each has exactly one mistake, and the reason that src/wire gives for
 * it. When the framer refuses a frame, the stream ends before its body is read.
 */
import { type Field, frameOf, handle, run, u8, u16, u32, u64, utf8 } from "./frame-writer.ts";

export interface BadFrame {
  readonly name: string;
  /** The result of invalidHeader, invalidRequest or invalidReply. */
  readonly reason: string;
  readonly fields: readonly Field[];
}

const HANDLE = { pool: 7, oid: ["0x1", "0x2", "0x3"], index: 4 } as const;
const POOL: readonly Field[] = [u16(7, "pool"), u16(0, "reserved")];

/** A valid entry of PUT, with these changes. */
function putEntry(changes: { version?: number; size?: number; codec?: number; kind?: number }) {
  const { version = 9, size = 3, codec = 1, kind = 0 } = changes;
  return [
    ...handle(HANDLE),
    u64(version, "version"),
    u32(0, "checksum"),
    u16(size, "zpage bytes"),
    u8(codec, "codec"),
    u8(kind, "kind"),
    run(0, 3, "zpage"),
  ];
}

function gotEntry(changes: { size?: number; codec?: number; status?: number }): Field[] {
  const { size = 3, codec = 1, status = 0 } = changes;
  return [
    u64(9, "version"),
    u32(0, "checksum"),
    u16(size, "zpage bytes"),
    u8(codec, "codec"),
    u8(status, "status"),
    run(0, 3, "zpage"),
  ];
}

function hello(changes: { reserved?: number; clusterBytes?: number; cluster?: Field }): Field[] {
  return [
    u8(1, "role"),
    u8(changes.reserved ?? 0, "reserved"),
    u16(1, "node number"),
    u32(4096, "page size"),
    u64(1, "boot id"),
    u32(0, "features"),
    u32(3, "codecs"),
    u32(2000, "keepalive ms"),
    u32(30_000, "idle ms"),
    u8(changes.clusterBytes ?? 4, "cluster name: bytes"),
    changes.cluster ?? utf8("demo", "cluster name"),
    u8(0, "node name: bytes"),
  ];
}

function bad(name: string, reason: string, fields: readonly Field[]): BadFrame {
  return { name, reason, fields };
}

const HEADERS: readonly BadFrame[] = [
  bad("header-magic", "magic is 0x4854, not 0x524d", frameOf({ type: 2, magic: 0x4854 }, [])),
  bad("header-version", "protocol version is 2, not 1", frameOf({ type: 2, version: 2 }, [])),
  bad(
    "header-length-4gib",
    "body of 4294967295 bytes is over 1114112",
    frameOf({ type: 16, bodyBytes: 4_294_967_295 }, []),
  ),
  bad(
    "header-length-one-over",
    "body of 1114113 bytes is over 1114112",
    frameOf({ type: 16, bodyBytes: 1_114_113 }, []),
  ),
  bad("header-flags", "flags are 0x80", frameOf({ type: 2, flags: 0x80 }, [])),
  bad("header-reserved", "reserved byte is not 0", frameOf({ type: 2, reserved: 1 }, [])),
  bad("header-count", "count of 4097 is over 4096", frameOf({ type: 37, count: 4097 }, [])),
  bad(
    "header-request-with-status",
    "a request carries a status",
    frameOf({ type: 2, handlerStatus: 1 }, []),
  ),
  bad(
    "header-reply-to-nothing",
    "a reply to no request",
    frameOf({ type: 2, flags: 1, request: 0 }, []),
  ),
  bad(
    "header-local-status",
    "transport status 3 does not travel",
    frameOf({ type: 2, flags: 1, transportStatus: 3 }, []),
  ),
];

const CONTROL: readonly BadFrame[] = [
  bad("hello-cut", "HELLO: fields are cut", frameOf({ type: 1 }, hello({}).slice(0, 8))),
  bad(
    "hello-reserved",
    "HELLO: reserved byte is not 0",
    frameOf({ type: 1 }, hello({ reserved: 1 })),
  ),
  bad("hello-name-cut", "HELLO: name is cut", frameOf({ type: 1 }, hello({ clusterBytes: 6 }))),
  bad(
    "hello-name-long",
    "HELLO: name of 65 bytes is over 64",
    frameOf({ type: 1 }, hello({ clusterBytes: 65 })),
  ),
  bad(
    "hello-name-not-utf8",
    "HELLO: name is not UTF-8",
    frameOf({ type: 1 }, hello({ cluster: ["64fffe6f", "cluster name"] })),
  ),
  bad(
    "hello-tail",
    "HELLO: body goes on after its fields",
    frameOf({ type: 1 }, [...hello({}), u8(0, "too much")]),
  ),
  bad("hello-count", "HELLO with 1 entries: over 0", frameOf({ type: 1, count: 1 }, hello({}))),
  bad(
    "keepalive-with-body",
    "KEEPALIVE with a body of 1 bytes: over 0",
    frameOf({ type: 2 }, [u8(0, "too much")]),
  ),
  bad("goodbye-empty", "GOODBYE: no code", frameOf({ type: 3, request: 0 }, [])),
  bad(
    "goodbye-reply",
    "reply to GOODBYE, which has none",
    frameOf({ type: 3, flags: 1 }, [u8(0, "code")]),
  ),
  bad(
    "reply-of-unknown-type",
    "reply to message 99, which has none",
    frameOf({ type: 99, flags: 1 }, []),
  ),
];

const put = (body: readonly Field[], count = 1): Field[] => frameOf({ type: 16, count }, body);
const got = (body: readonly Field[]): Field[] => frameOf({ type: 17, flags: 1, count: 1 }, body);

const PEER: readonly BadFrame[] = [
  bad("put-cut", "PUT: entry 1 is cut", put(putEntry({}), 2)),
  bad("put-zpage-cut", "PUT: zpage of entry 0 is cut", put(putEntry({ size: 4 }))),
  bad("put-tail", "PUT: body goes on after its entries", put(putEntry({ size: 2 }))),
  bad("put-empty-zpage", "PUT: entry 0: zpage of 0 bytes with codec 1", put(putEntry({ size: 0 }))),
  bad(
    "put-long-zpage",
    "PUT: entry 0: zpage of 4001 bytes with codec 1",
    put(putEntry({ size: 4001 })),
  ),
  bad("put-short-raw", "PUT: entry 0: zpage of 3 bytes with codec 0", put(putEntry({ codec: 0 }))),
  bad("put-codec", "PUT: entry 0: codec 7 is not defined", put(putEntry({ codec: 7 }))),
  bad("put-kind", "PUT: entry 0: unknown kind", put(putEntry({ kind: 2 }))),
  bad("put-version", "PUT: entry 0: version out of range", put(putEntry({ version: 2 ** 45 }))),
  bad(
    "put-handle-reserved",
    "PUT: entry 0: reserved bytes of the handle",
    put([...putEntry({}).slice(0, 5), u16(1, "reserved"), ...putEntry({}).slice(6)]),
  ),
  bad("put-count", "PUT with 513 entries: over 512", put(putEntry({}), 513)),
  bad(
    "get-length",
    "GET: body of 32 bytes for 1 entries of 40",
    frameOf({ type: 17, count: 1 }, handle(HANDLE)),
  ),
  bad(
    "get-version",
    "GET: entry 0: version out of range",
    frameOf({ type: 17, count: 1 }, [...handle(HANDLE), u64(2 ** 45, "version")]),
  ),
  bad(
    "get-reply-not-found-with-zpage",
    "GET: entry 0: a zpage that was not found has a size or a codec",
    got(gotEntry({ status: 1 })),
  ),
  bad(
    "get-reply-not-found-with-codec",
    "GET: entry 0: a zpage that was not found has a size or a codec",
    got(gotEntry({ status: 1, size: 0 }).slice(0, 5)),
  ),
  bad("get-reply-zpage-cut", "GET: zpage of entry 0 is cut", got(gotEntry({ size: 4 }))),
  bad("get-reply-codec", "GET: entry 0: codec 255 is not defined", got(gotEntry({ codec: 255 }))),
  bad(
    "get-reply-refused-with-text",
    "GET with a body of 2 bytes: over 0",
    frameOf({ type: 17, flags: 1, handlerStatus: 14 }, [utf8("no", "reason")]),
  ),
  bad(
    "flush-scope",
    "FLUSH: entry 0: unknown scope",
    frameOf({ type: 18, count: 1 }, [
      ...handle(HANDLE),
      u64(9, "version"),
      u8(3, "scope"),
      run(0, 7, "reserved"),
    ]),
  ),
  bad(
    "grant-short",
    "GRANT: body is not 16 bytes long",
    frameOf({ type: 19, request: 0 }, [u64(9, "pages")]),
  ),
  bad(
    "grant-out-of-range",
    "GRANT: pages out of range",
    frameOf({ type: 19, request: 0 }, [u64(2n ** 46n, "pages"), u64(1, "epoch")]),
  ),
  bad(
    "grant-epoch-out-of-range",
    "GRANT: epoch out of range",
    frameOf({ type: 19, request: 0 }, [u64(9, "pages"), u64(2n ** 46n, "epoch")]),
  ),
  bad(
    "offer-short",
    "OFFER: fields are cut",
    frameOf({ type: 21, request: 0 }, [u32(9, "lend frames"), u32(9, "free frames")]),
  ),
  bad(
    "offer-flags",
    "OFFER: unknown flags",
    frameOf({ type: 21, request: 0 }, [
      u32(9, "lend frames"),
      u32(9, "free frames"),
      u8(2, "flags"),
      u8(0, "zone bytes"),
    ]),
  ),
  bad(
    "offer-zone-cut",
    "OFFER: body does not end with the zone",
    frameOf({ type: 21, request: 0 }, [
      u32(9, "lend frames"),
      u32(9, "free frames"),
      u8(0, "flags"),
      u8(3, "zone bytes"),
      utf8("ab", "zone"),
    ]),
  ),
  bad(
    "offer-zone-long",
    "OFFER: zone of 33 bytes is over 32",
    frameOf({ type: 21, request: 0 }, [
      u32(9, "lend frames"),
      u32(9, "free frames"),
      u8(0, "flags"),
      u8(33, "zone bytes"),
    ]),
  ),
  bad(
    "offer-zone-not-utf8",
    "OFFER: zone is not UTF-8",
    frameOf({ type: 21, request: 0 }, [
      u32(9, "lend frames"),
      u32(9, "free frames"),
      u8(0, "flags"),
      u8(1, "zone bytes"),
      u8(0xff, "zone"),
    ]),
  ),
  bad(
    "grant-reply",
    "reply to GRANT, which has none",
    frameOf({ type: 19, flags: 1 }, [u64(9, "pages"), u64(1, "epoch")]),
  ),
  bad(
    "flush-reserved",
    "FLUSH: entry 0: reserved bytes",
    frameOf({ type: 18, count: 1 }, [
      ...handle(HANDLE),
      u64(9, "version"),
      u8(0, "scope"),
      run(0, 6, "reserved"),
      u8(1, "reserved"),
    ]),
  ),
  bad(
    "put-reply-count",
    "PUT: not one status an entry",
    frameOf({ type: 16, flags: 1, count: 2 }, [u8(0, "status")]),
  ),
];

const CLIENT: readonly BadFrame[] = [
  bad("audit-length", "AUDIT: body is not 8 bytes long", frameOf({ type: 22 }, [u32(1, "row")])),
  bad(
    "audit-reserved",
    "AUDIT: reserved bytes",
    frameOf({ type: 22 }, [u32(1, "row"), u32(1, "reserved")]),
  ),
  bad(
    "audit-reply-length",
    "AUDIT: body of 12 bytes",
    frameOf({ type: 22, flags: 1 }, [u32(0, "row"), u32(0, "reserved"), u32(0, "handle")]),
  ),
  bad(
    "new-pool-flags",
    "NEW_POOL: unknown flags or reserved bytes",
    frameOf({ type: 32 }, [u8(4, "flags"), run(0, 3, "reserved")]),
  ),
  bad(
    "flush-pool-length",
    "FLUSH_POOL: body is not 4 bytes long",
    frameOf({ type: 34 }, POOL.slice(0, 1)),
  ),
  bad(
    "destroy-pool-reserved",
    "DESTROY_POOL: reserved bytes",
    frameOf({ type: 33 }, [u16(7, "pool"), u16(1, "reserved")]),
  ),
  bad("open-pool-length", "OPEN_POOL: body is not 20 bytes long", frameOf({ type: 43 }, POOL)),
  bad(
    "open-pool-reserved",
    "OPEN_POOL: reserved bytes",
    frameOf({ type: 43 }, [u16(7, "pool"), u16(1, "reserved"), run(0, 16, "token")]),
  ),
  bad(
    "pool-token-reply-length",
    "POOL_TOKEN: body is not 16 bytes long",
    frameOf({ type: 42, flags: 1 }, POOL),
  ),
  bad(
    "page-put-length",
    "PAGE_PUT: body of 4127 bytes for 1 entries of 4128",
    frameOf({ type: 35, count: 1 }, [...handle(HANDLE), run(0, 4095, "page")]),
  ),
  bad(
    "page-get-and-free",
    "PAGE_GET: entry 0: get_and_free of 2",
    frameOf({ type: 36, count: 1 }, [
      ...handle(HANDLE),
      u8(2, "get_and_free"),
      run(0, 7, "reserved"),
    ]),
  ),
  bad(
    "page-get-count",
    "PAGE_GET with 257 entries: over 256",
    frameOf({ type: 36, count: 257 }, [...handle(HANDLE), run(0, 8, "get_and_free, reserved")]),
  ),
  bad(
    "page-get-reply-page-cut",
    "PAGE_GET: body of 4096 bytes for 1 pages",
    frameOf({ type: 36, flags: 1, count: 1 }, [u8(0, "status"), run(0, 4095, "page")]),
  ),
  bad(
    "page-get-reply-statuses-cut",
    "PAGE_GET: statuses are cut",
    frameOf({ type: 36, flags: 1, count: 2 }, [u8(1, "status")]),
  ),
  bad(
    "object-flush-reserved",
    "OBJECT_FLUSH: entry 0: reserved bytes of the handle",
    frameOf({ type: 38, count: 1 }, [...handle(HANDLE).slice(0, 5), u16(0x100, "reserved")]),
  ),
  bad(
    "knob-set-name-cut",
    "KNOB_SET: name is cut",
    frameOf({ type: 41 }, [u16(7, "name bytes"), utf8("target", "name")]),
  ),
];

export const BAD_FRAMES: readonly BadFrame[] = [...HEADERS, ...CONTROL, ...PEER, ...CLIENT];
