/**
 * IP addresses: text for people and sockets, bytes for gossip and comparison.
 *
 * Not here: addresses with ports and paths (address.ts).
 */

/** @returns four or sixteen bytes, or null when the text is not an IP address. */
export function ipBytes(text: string): Uint8Array | null {
  const v4 = ipv4Bytes(text);
  if (v4 !== null) return v4;
  return ipv6Bytes(text);
}

/** The text as sockets write it. `bytes` has four or sixteen bytes. */
export function ipText(bytes: Uint8Array): string {
  if (bytes.byteLength === 4) return bytes.join(".");
  const mapped = bytes.subarray(0, 10).every((byte) => byte === 0);
  if (mapped && bytes[10] === 0xff && bytes[11] === 0xff) return bytes.subarray(12).join(".");
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const groups = Array.from({ length: 8 }, (_, i) => view.getUint16(2 * i).toString(16));
  return shortened(groups);
}

/** Whether the address is valid on one link only: fe80::/10 (RFC 4291, 2.5.6). */
export function isLinkLocal(host: string): boolean {
  return /^fe[89ab][0-9a-f]:/i.test(host);
}

/** Whether the host stands for every address of the machine, so that others cannot use it. */
export function isWildcard(host: string): boolean {
  const bytes = ipBytes(host);
  return bytes?.every((byte) => byte === 0) === true;
}

/** The host without its zone, which names a network device of one machine (RFC 4007). */
export function withoutZone(host: string): string {
  return host.replace(/%.*$/, "");
}

/**
 * Gives a link-local address of another machine the zone by which this machine reaches it. `own` is
 * an address of this machine on the same link.
 */
export function withZoneOf(host: string, own: string): string {
  const zone = own.indexOf("%");
  return zone < 0 || !isLinkLocal(host) || host.includes("%") ? host : host + own.slice(zone);
}

function ipv4Bytes(text: string): Uint8Array | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  if (!parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255)) return null;
  return Uint8Array.from(parts, Number);
}

function ipv6Bytes(text: string): Uint8Array | null {
  const [head = "", tail, ...more] = inGroups(withoutZone(text)).split("::");
  if (more.length > 0) return null;
  const first = groupsOf(head);
  const last = tail === undefined ? [] : groupsOf(tail);
  if (first === null || last === null) return null;
  const missing = 8 - first.length - last.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return null;
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  const groups = [...first, ...new Array<number>(missing).fill(0), ...last];
  for (const [i, group] of groups.entries()) view.setUint16(2 * i, group);
  return bytes;
}

/** The address without dots: IPv6 may end with an IPv4 address (RFC 4291, 2.2). */
function inGroups(text: string): string {
  const at = text.lastIndexOf(":") + 1;
  const [a, b, c, d] = (at > 0 ? ipv4Bytes(text.slice(at)) : null) ?? [];
  if (a === undefined || b === undefined || c === undefined || d === undefined) return text;
  const groups = [(a << 8) | b, (c << 8) | d];
  return text.slice(0, at) + groups.map((group) => group.toString(16)).join(":");
}

function groupsOf(text: string): number[] | null {
  if (text === "") return [];
  const groups = text.split(":");
  if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return null;
  return groups.map((group) => Number.parseInt(group, 16));
}

/** RFC 5952: the longest run of two or more zeros becomes "::". */
function shortened(groups: readonly string[]): string {
  let bestAt = 0;
  let best = 1;
  for (let at = 0; at < groups.length; at += 1) {
    let end = at;
    while (groups[end] === "0") end += 1;
    if (end - at > best) {
      best = end - at;
      bestAt = at;
    }
  }
  if (best === 1) return groups.join(":");
  return `${groups.slice(0, bestAt).join(":")}::${groups.slice(bestAt + best).join(":")}`;
}
