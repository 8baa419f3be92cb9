/** Packets and streams that real members sent: fixtures/gossip, recorded by capture.ts. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SeededRandom } from "../../src/core/random.ts";
import { Keyring } from "../../src/gossip/keyring.ts";
import type { GossipOptions } from "../../src/gossip/packet.ts";
import type { StreamSide } from "../../src/gossip/stream.ts";
import { parseHex } from "../wire/hex.ts";
import type { JsonMessage } from "./json-message.ts";

const DIRECTORY = join(import.meta.dir, "../../fixtures/gossip");

/** The content of a JSON file. `key` is base64. */
export interface FixtureFile {
  readonly key: string | null;
  readonly label: string;
  readonly side: StreamSide | null;
  readonly messages: readonly JsonMessage[];
}

export interface GossipFixture {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly messages: readonly JsonMessage[];
  readonly options: GossipOptions;
  /** The writer of a stream. Null for a packet. */
  readonly side: StreamSide | null;
}

export function gossipFixtures(): GossipFixture[] {
  const names = readdirSync(DIRECTORY).filter((name) => name.endsWith(".hex"));
  return names.sort().map((file) => {
    const name = file.slice(0, -".hex".length);
    const text = readFileSync(join(DIRECTORY, `${name}.json`), "utf8");
    const { key, label, side, messages } = JSON.parse(text) as FixtureFile;
    const keyring =
      key === null ? null : new Keyring([Buffer.from(key, "base64")], new SeededRandom(1));
    return {
      name,
      bytes: parseHex(readFileSync(join(DIRECTORY, file), "utf8")),
      messages,
      options: { keyring, label },
      side,
    };
  });
}
