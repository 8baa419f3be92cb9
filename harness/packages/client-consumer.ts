/**
 * A program that uses the declarations of the client library, and is only compiled: with the
 * strictest settings, with and without the types of Node and of browsers (client.long.ts). Each
 * line that must be an error says so.
 */
import {
  type CallSignal,
  type Client,
  type Counters,
  connect,
  type ErrorCode,
  FIGURES,
  type Key,
  type Oid,
  PageError,
  type Pool,
  type PutResult,
  RamsterError,
  type Refusal,
  RemoteMap,
  type ValueCodec,
} from "@ramster/client";

const OID: Oid = [1n, 2n, 3n];
const page = new Uint8Array(4096);

export async function keys(pool: Pool, signal: CallSignal): Promise<void> {
  await pool.put("user:42", page, { signal });
  await pool.put(7, page, { timeoutMs: 100 });
  await pool.put({ oid: OID, index: 7 }, page);
  await pool.put(OID, 7, page, { signal });
  await pool.put([1n, 2n, 3n], 7, page);
  await pool.put("object", 7, page);
  const got: Uint8Array | null = await pool.get("user:42", { signal, remove: "never" });
  await pool.get(OID, 7, { remove: "always" });
  await pool.putMany([
    { key: "a", page },
    { oid: "object", index: 1, page },
  ]);
  const many: Array<Uint8Array | null> = await pool.getMany(["a", 7, { oid: OID, index: 7 }]);
  await pool.flushPage("a");
  await pool.flushPage(OID, 7, { signal });
  await pool.flushPages(["a"]);
  await pool.flushObject("a");
  const all: Key[] = ["a", 7, { oid: OID, index: 0 }];
  void [got, many, all];
  // @ts-expect-error A page is bytes.
  await pool.put("a", "text");
  // @ts-expect-error An object id has three words.
  await pool.put([1n, 2n], 7, page);
  // @ts-expect-error An object id alone is no page.
  await pool.get(OID);
  // @ts-expect-error There is no such way to remove.
  await pool.get("a", { remove: "sometimes" });
}

export function reasonOf(result: PutResult): Refusal | null {
  if (result.stored) return null;
  const { reason } = result;
  switch (reason) {
    case "no_room":
    case "compress_poor":
    case "mean_compress_poor":
    case "frozen":
    case "index_full":
    case "other":
      return reason;
    default:
      return reason satisfies never;
  }
}

export function codeOf(error: unknown): ErrorCode | null {
  if (error instanceof PageError) return error.results.includes("lost") ? "LOST" : "UNREACHABLE";
  if (!(error instanceof RamsterError)) return null;
  // @ts-expect-error There is no such code.
  if (error.code === "NO_SUCH_CODE") return null;
  return error.code;
}

interface Person {
  name: string;
}

export async function maps(pool: Pool, codec: ValueCodec<Person>): Promise<void> {
  const map: RemoteMap<string, Uint8Array> = new RemoteMap(pool);
  const result: PutResult = await map.set("a", page);
  const value: Uint8Array | undefined = await map.get("a");
  for await (const [key, bytes] of map) void [key.length, bytes.byteLength];
  for await (const key of map.keys()) void key.length;
  const people = new RemoteMap<string, Person>(pool, { codec });
  const person: Person | undefined = await people.get("ada");
  const users = new RemoteMap<`user:${number}`>(pool, { valueBytesMax: 4096 });
  await users.set("user:42", page);
  // @ts-expect-error It is no key of this map.
  await users.get("ada");
  // @ts-expect-error Values that are not bytes need a codec.
  const none = new RemoteMap<string, Person>(pool);
  void [result, value, person, none];
}

export async function client(key: string): Promise<Counters> {
  const it: Client = await connect("tcp:10.0.0.1:7780", { key, timeoutMs: 1000, redial: false });
  const pool: Pool = await it.newPool({ persistent: true, storeWhole: undefined });
  const again: Pool = await it.openPool(pool.id, await pool.token());
  await again[Symbol.asyncDispose]();
  const help: string = FIGURES.counters.pers_zpages.help;
  const { counters, verdict } = await it.stats();
  await it.close();
  void [help, verdict];
  // @ts-expect-error Only this library makes pools.
  void (Pool satisfies unknown);
  return counters;
}
